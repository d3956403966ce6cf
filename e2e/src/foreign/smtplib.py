"""Sends a message after login() of smtplib: server, name, password, sender, recipient, message."""
import smtplib, ssl, sys

server, name, password, sender, recipient, file = sys.argv[1:]
host, port = server.rsplit(":", 1)
s = smtplib.SMTP(host, int(port), timeout=30)
s.set_debuglevel(1)
s.starttls(context=ssl._create_unverified_context())
try:
    s.login(name, password)
except smtplib.SMTPAuthenticationError as error:
    print(error.smtp_code, error.smtp_error.decode())
    sys.exit(1)
s.sendmail(sender, [recipient], open(file, "rb").read())
s.quit()
