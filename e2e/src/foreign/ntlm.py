"""Sends a message after AUTH NTLM by Samba's client: server, name, password, sender, recipient, message."""
import base64, smtplib, ssl, sys
from samba import credentials, gensec, param

server, name, password, sender, recipient, file = sys.argv[1:]
host, port = server.rsplit(":", 1)
settings = param.LoadParm()
settings.set("client ntlmv2 auth", "yes")
who = credentials.Credentials()
who.set_username(name)
who.set_password(password)
who.set_domain("")
who.set_workstation("CLIENT")
who.set_kerberos_state(credentials.DONT_USE_KERBEROS)
client = gensec.Security.start_client({"target_hostname": host, "lp_ctx": settings})
client.set_credentials(who)
# Without signing, Samba sends no integrity code.
client.want_feature(gensec.FEATURE_SIGN)
client.start_mech_by_name("ntlmssp")

s = smtplib.SMTP(host, int(port), timeout=30)
s.set_debuglevel(1)
s.ehlo("client.ext.example")
s.starttls(context=ssl._create_unverified_context())
s.ehlo("client.ext.example")
_, token = client.update(b"")
code, said = s.docmd("AUTH", "NTLM " + base64.b64encode(token).decode())
while code == 334:
    _, token = client.update(base64.b64decode(said))
    code, said = s.docmd(base64.b64encode(token).decode())
if code != 235:
    sys.exit(1)
s.sendmail(sender, [recipient], open(file, "rb").read())
s.quit()
