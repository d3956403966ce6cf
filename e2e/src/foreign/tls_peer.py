"""A next hop that offers STARTTLS. Prints `port N`, then one line per accepted message:
`message tls=VERSION|none subject=...`."""
import socket
import ssl
import sys
import threading

ip, certificate, key = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
listener = socket.create_server((ip, 0))
print("port", listener.getsockname()[1], flush=True)


def session(connection):
    lines = connection.makefile("rb")

    def say(text):
        connection.sendall(text.encode() + b"\r\n")

    say("220 tls.test ESMTP")
    while line := lines.readline():
        verb = line.split()[0].upper() if line.split() else b""
        if verb == b"EHLO":
            offers = ["tls.test", "PIPELINING", "8BITMIME"]
            if not isinstance(connection, ssl.SSLSocket):
                offers.append("STARTTLS")
            for offer in offers[:-1]:
                say("250-" + offer)
            say("250 " + offers[-1])
        elif verb == b"STARTTLS":
            say("220 2.0.0 go ahead")
            connection = context.wrap_socket(connection, server_side=True)
            lines = connection.makefile("rb")
        elif verb == b"DATA":
            say("354 go ahead")
            subject = ""
            while (content := lines.readline()) not in (b".\r\n", b""):
                if content.lower().startswith(b"subject:"):
                    subject = content.decode().strip()
            version = connection.version() if isinstance(connection, ssl.SSLSocket) else "none"
            print(f"message tls={version} {subject}", flush=True)
            say("250 2.0.0 accepted")
        elif verb == b"QUIT":
            say("221 2.0.0 bye")
            connection.close()
            return
        else:
            say("250 2.0.0 ok")


def guarded(connection):
    try:
        session(connection)
    except OSError as error:
        print("error", error, flush=True)


while True:
    accepted, _ = listener.accept()
    threading.Thread(target=guarded, args=(accepted,), daemon=True).start()
