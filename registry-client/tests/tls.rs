//! Registries and token servers that speak TLS on this machine, with certificates of their own.
#![allow(missing_docs, clippy::unwrap_used)]

use registry_client::{
    Client, Credentials, Digest, Error, HostSettings, Reference, RetryPolicy, Settings, TlsSettings,
};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A registry that wants a token, and its token server: both write down who logged in.
const SCRIPT: &str = r#"
import http.server, json, os, ssl, sys, threading
place, realm = sys.argv[1], None
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def setup(self):
        super().setup()
        spoken = getattr(self.request, "selected_alpn_protocol", lambda: None)()
        with open(place + "/asked", "a") as file: file.write("spoken %s\n" % spoken)
    def answer(self):
        sent = self.headers.get("Authorization", "-")
        with open(place + "/asked", "a") as file: file.write(self.server.name + " " + sent + "\n")
        body, status, headers = b"{}", 200, []
        if self.server.name == "token": body = json.dumps({"token": None, "access_token": "T"}).encode()
        elif sent != "Bearer T": status, headers = 401, [("WWW-Authenticate", 'Bearer realm="%s",service="s"' % realm)]
        self.send_response(status)
        for header in headers + [("Content-Length", str(len(body)))]: self.send_header(*header)
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    do_GET = do_HEAD = answer
    def log_message(self, *_): pass
def serve(name, secure=True):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.name = name
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place + "/cert.pem", place + "/key.pem")
        if "mutual" in sys.argv[3:]:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(place + "/client.pem")
        if "h2" in sys.argv[3:]: context.set_alpn_protocols(["h2"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port
ports = serve("registry"), serve("token"), serve("token", False)
realm = ("https://localhost:%d/token" % ports[1]) if sys.argv[2] == "https" else ("http://localhost:%d/token" % ports[2])
with open(place + "/ports.new", "w") as file: file.write(" ".join(map(str, ports)))
os.rename(place + "/ports.new", place + "/ports")
sys.stdin.read()
"#;

struct Servers {
    directory: tempfile::TempDir,
    process: Child,
    ports: Vec<u16>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Servers {
    fn start(realm: &str) -> Servers {
        Servers::start_with(realm, &[])
    }

    fn start_with(realm: &str, more: &[&str]) -> Servers {
        let directory = tempfile::tempdir().unwrap();
        certificate(directory.path(), "cert.pem", "key.pem");
        certificate(directory.path(), "client.pem", "client.key");
        let mut python = Command::new("python3");
        let process = python
            .args(["-c", SCRIPT])
            .arg(directory.path())
            .arg(realm)
            .args(more)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let ports = loop {
            if let Ok(text) = std::fs::read_to_string(directory.path().join("ports")) {
                break text.split(' ').map(|port| port.parse().unwrap()).collect();
            }
            assert!(Instant::now() < deadline, "python3 does not serve");
            std::thread::sleep(Duration::from_millis(20));
        };
        Servers { directory, process, ports }
    }

    fn registry(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Returns a client that logs in; `tls` is how certificates are looked at.
    fn client(&self, tls: &TlsSettings) -> Client {
        let login = ("user".to_owned(), "secret".to_owned());
        let settings = HostSettings { plain_http: Some(false), tls: tls.clone() };
        let hosts = [self.registry(), format!("localhost:{}", self.ports[1])];
        Client::new(Settings {
            credentials: Credentials::Fixed(HashMap::from([(self.registry(), login)])),
            retry: RetryPolicy { initial_backoff: Duration::from_millis(5), max_attempts: 2, ..RetryPolicy::default() },
            hosts: hosts.into_iter().map(|host| (host, settings.clone())).collect(),
            ..Settings::default()
        })
        .unwrap()
    }

    async fn ask(&self, tls: &TlsSettings) -> Result<bool, Error> {
        let reference = Reference::parse(&format!("{}/team/app:1", self.registry())).unwrap();
        self.client(tls).has_blob(&reference, &Digest::of(b"x")).await
    }

    fn own(&self) -> TlsSettings {
        TlsSettings {
            ca: Some(std::fs::read(self.directory.path().join("cert.pem")).unwrap()),
            ..TlsSettings::default()
        }
    }

    fn asked(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("asked")).unwrap_or_default()
    }
}

fn certificate(place: &Path, own: &str, key: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    openssl.arg("-keyout").arg(place.join(key)).arg("-out").arg(place.join(own));
    assert!(openssl.stderr(Stdio::null()).status().unwrap().success(), "openssl is installed");
}

#[tokio::test]
async fn sv_10_the_login_goes_to_the_https_realm_that_the_registry_names() {
    let servers = Servers::start("https");
    assert!(servers.ask(&servers.own()).await.unwrap());
    let asked = servers.asked();
    assert!(asked.contains("token Basic dXNlcjpzZWNyZXQ="), "{asked}");
    assert!(!asked.contains("registry Basic"), "{asked}");
}

#[tokio::test]
async fn sv_10_a_realm_without_https_gets_no_login_of_a_registry_with_it() {
    let servers = Servers::start("http");
    let error = servers.ask(&servers.own()).await.unwrap_err().to_string();
    assert!(error.contains("does not use https, though the registry does"), "{error}");
    assert!(!servers.asked().contains("token"), "{}", servers.asked());
}

// CQ-20
#[tokio::test]
async fn us_26_a_registry_on_loopback_may_speak_tls() {
    let servers = Servers::start("https");
    let error = servers.ask(&TlsSettings::default()).await.unwrap_err().to_string();
    let remedy = format!("`registries.\"{}\".ca_file`", servers.registry());
    assert!(error.contains("is not trusted") && error.contains(&remedy), "{error}");
    assert!(servers.ask(&TlsSettings { insecure: true, ..TlsSettings::default() }).await.unwrap());
    // Without settings it is spoken to as docker does on this machine.
    let reference = Reference::parse(&format!("{}/team/app:1", servers.registry())).unwrap();
    let error = Client::new(Settings::default()).unwrap().has_blob(&reference, &Digest::of(b"x")).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. } | Error::Speech { .. }), "{error}");
}

// CQ-19
#[tokio::test]
async fn a_registry_that_wants_a_certificate_is_shown_the_one_for_it() {
    let servers = Servers::start_with("https", &["mutual"]);
    let read = |name: &str| std::fs::read(servers.directory.path().join(name)).unwrap();
    let identity = [read("client.pem"), read("client.key")].concat();
    let shown = TlsSettings { identity: Some(identity.clone()), ..servers.own() };
    assert!(servers.ask(&shown).await.unwrap());
    let insecure = TlsSettings { insecure: true, identity: Some(identity), ca: None };
    assert!(servers.ask(&insecure).await.unwrap());
    let error = servers.ask(&servers.own()).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. } | Error::TokenServer { .. }), "{error}");
    // One that it does not know is none.
    let wrong = TlsSettings { identity: Some([read("cert.pem"), read("key.pem")].concat()), ..servers.own() };
    assert!(servers.ask(&wrong).await.is_err());
}

// CQ-22
#[tokio::test]
async fn a_registry_with_a_certificate_of_its_own_may_speak_http_2() {
    let servers = Servers::start_with("https", &["h2"]);
    // The script speaks version 1 only: what counts is what was agreed upon.
    assert!(servers.ask(&servers.own()).await.is_err());
    assert!(servers.asked().contains("spoken h2"), "{}", servers.asked());
}
