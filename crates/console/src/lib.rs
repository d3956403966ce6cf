//! Administration over HTTP. Today one page: the counters, in the form Prometheus reads.
//!
//! It computes nothing about mail: it holds a [`Control`] and shows what that says.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use gateway::Control;
use gateway::world::World;
use std::io;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves the pages until it is stopped.
///
/// # Errors
/// The listening socket is broken.
pub async fn serve<W: World>(listener: TcpListener, control: Control<W>, stop: CancellationToken) -> io::Result<()> {
    let pages = Router::new().route("/metrics", get(metrics::<W>)).with_state(control);
    axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn metrics<W: World>(State(control): State<Control<W>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], control.metrics().await)
}
