//! A mail server, as the RFCs have it behave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{ADDRESS, GatewaySender, SECRET, code, email, notice, told};

/// A message that the server took.
#[derive(Clone, Debug, Default)]
struct ReceivedMail {
    from: String,
    to: Vec<String>,
    lines: Vec<String>,
}

impl ReceivedMail {
    fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let line =
            self.lines.iter().take_while(|line| !line.is_empty()).find(|line| line.starts_with(&start));
        line.unwrap_or_else(|| panic!("{name}: {self:?}")).strip_prefix(&start).unwrap()
    }

    fn text(&self) -> String {
        let body: Vec<&str> =
            self.lines.iter().skip_while(|line| !line.is_empty()).skip(1).map(String::as_str).collect();
        match self.header("Content-Transfer-Encoding") {
            "7bit" => body.join("\n"),
            "base64" => {
                String::from_utf8(STANDARD.decode(body.concat()).unwrap()).unwrap().replace("\r\n", "\n")
            }
            "quoted-printable" => unquoted(&body),
            other => panic!("{other}"),
        }
    }

    /// The subject, in words of the form `=?utf-8?b?…?=` where it has to be (RFC 2047): no space is between two of them.
    fn subject(&self) -> String {
        let mut lines = self.lines.iter().skip_while(|line| !line.starts_with("Subject: "));
        let first = lines.next().unwrap().strip_prefix("Subject: ").unwrap();
        let folded = lines.take_while(|line| line.starts_with(' '));
        let words = std::iter::once(first).chain(folded.map(String::as_str)).flat_map(str::split_whitespace);
        let (mut subject, mut was_encoded) = (String::new(), true);
        for word in words {
            let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
            if !(was_encoded && (encoded.is_some() || subject.is_empty())) {
                subject.push(' ');
            }
            match encoded {
                Some(encoded) => subject += &String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap(),
                None => subject += word,
            }
            was_encoded = encoded.is_some();
        }
        subject
    }
}

/// Quoted-printable (RFC 2045, section 6.7), read back.
fn unquoted(body: &[&str]) -> String {
    let joined = body.join("\n").replace("=\n", "");
    let (mut bytes, mut rest) = (Vec::new(), joined.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'=' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// A running mail server.
struct MailServer {
    address: String,
    letters: Arc<Mutex<Vec<ReceivedMail>>>,
    connections: Arc<Mutex<usize>>,
    hellos: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// Answers as usual but to the given steps: `connect`, a verb, or `.` after a message. An empty answer hangs up; one
    /// of `~` comes late, and is then the usual one.
    async fn start(answers: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers: BTreeMap<_, _> = answers.iter().copied().collect();
        let (letters, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let hellos = Arc::<Mutex<Vec<String>>>::default();
        let server = Self {
            address,
            letters: letters.clone(),
            connections: connections.clone(),
            hellos: hellos.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                tokio::spawn(converse(stream, answers.clone(), letters.clone(), hellos.clone()));
            }
        });
        server
    }

    fn sender(&self, more: &str) -> GatewaySender {
        GatewaySender::new(&format!(
            "[delivery]\nemail = \"g\"\n[gateways.g]\nkind = \"smtp\"\nserver = \"{}\"\nfrom = \"App <no-reply@app.example>\"\n{more}",
            self.address
        ))
    }

    fn letters(&self) -> Vec<ReceivedMail> {
        self.letters.lock().unwrap().clone()
    }
}

const PLAIN: &str = "tls = \"none\"\n";

/// One connection's dialogue. The server says whom it speaks of, as servers do.
async fn converse(
    stream: TcpStream,
    answers: BTreeMap<&'static str, &'static str>,
    letters: Arc<Mutex<Vec<ReceivedMail>>>,
    hellos: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let (mut lines, mut letter, mut late) = (BufReader::new(read).lines(), ReceivedMail::default(), true);
    let mut step = "connect".to_owned();
    let mut usual = "220 mail.example ESMTP".to_owned();
    loop {
        let answer = match answers.get(step.as_str()).copied() {
            Some("") => return None,
            Some("~") => {
                if std::mem::take(&mut late) {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                usual
            }
            Some(answer) => answer.to_owned(),
            None => usual,
        };
        if step == "." && answer.starts_with('2') {
            letters.lock().unwrap().push(std::mem::take(&mut letter));
        }
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        if step == "DATA" && answer.starts_with('3') {
            while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                letter.lines.push(line.strip_prefix('.').unwrap_or(&line).to_owned());
            }
            (step, usual) = (".".to_owned(), "250 2.0.0 queued".to_owned());
            continue;
        }
        let line = lines.next_line().await.ok()??;
        step = line.split([' ', ':']).next().unwrap().to_owned();
        let argument = line.split_once(':').map(|(_, address)| address.trim_matches(['<', '>']).to_owned());
        usual = match step.as_str() {
            "EHLO" => {
                let name = line.strip_prefix("EHLO ")?;
                hellos.lock().unwrap().push(name.to_owned());
                if name.contains('.') {
                    "250-mail.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME".to_owned()
                } else {
                    "504 5.5.2 a full host name is needed".to_owned()
                }
            }
            "AUTH" => {
                let login = format!("AUTH PLAIN {}", STANDARD.encode(format!("\0app\0{SECRET}")));
                if line == login { "235 2.7.0 hello app" } else { "535 5.7.8 not you, app" }.to_owned()
            }
            "MAIL" => {
                letter.from = argument?.split('>').next()?.to_owned();
                "250 2.1.0 ok".to_owned()
            }
            "RCPT" => {
                letter.to.push(argument?);
                "250 2.1.5 ok".to_owned()
            }
            "DATA" => "354 go on".to_owned(),
            "NOOP" => "250 2.0.0 ok".to_owned(),
            _ => "502 5.5.2 what?".to_owned(),
        };
    }
}

#[tokio::test]
async fn an_e_mail_arrives_as_it_was_written_in_any_language() {
    let server = MailServer::start(&[]).await;
    let sender = server.sender(PLAIN);
    for language in ["en", "fa"] {
        for content in [code(), notice()] {
            let message = sender.message(&email(), &content, language);
            let accepted = sender.hand_over(&message).await.unwrap();
            assert_eq!(accepted.reference, Some(message.id.to_string()));
            let letter = server.letters().pop().unwrap();
            assert_eq!(
                (letter.from.as_str(), letter.to.as_slice()),
                ("no-reply@app.example", [ADDRESS.to_owned()].as_slice())
            );
            assert_eq!(letter.header("From"), "App <no-reply@app.example>");
            assert_eq!(letter.header("To"), ADDRESS);
            assert_eq!(letter.header("Message-ID"), format!("<{}@app.example>", message.id));
            assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
            assert_eq!(letter.header("Content-Type"), "text/plain; charset=utf-8");
            assert!(letter.header("Date").ends_with("+0000"), "{letter:?}");
            assert_eq!(letter.text().trim_end(), message.text);
            assert_eq!(letter.subject(), message.subject);
        }
    }
    assert_eq!(*server.connections.lock().unwrap(), 1, "a connection serves one message after another");
}

#[tokio::test]
async fn lines_that_begin_with_a_dot_arrive_with_it() {
    let server = MailServer::start(&[]).await;
    let sender = server.sender(PLAIN);
    let mut message = sender.message(&email(), &code(), "en");
    message.text = ".\n..two\nend.\n.\nQUIT\n".to_owned();
    sender.hand_over(&message).await.unwrap();
    assert_eq!(server.letters()[0].text().trim_end(), message.text.trim_end());
}

#[tokio::test]
async fn the_meaning_of_an_smtp_answer_depends_on_the_step_of_the_dialogue() {
    for (step, answer, outcome, reason) in [
        ("connect", "421 4.3.2 too busy", "unavailable", "smtp connect 421 4.3.2 too busy"),
        ("connect", "554 5.7.1 go away", "refused", "smtp connect 554 5.7.1 go away"),
        ("connect", "", "unavailable", "smtp connect broke off"),
        ("connect", "SSH-2.0-OpenSSH_9", "unavailable", "smtp connect broke off"),
        ("EHLO", "502 5.5.1 no", "refused", "smtp connect 502 5.5.1 no"),
        ("MAIL", "451 4.3.0 later", "unavailable", "smtp mail 451 4.3.0"),
        ("MAIL", "550 5.1.8 no-reply@app.example is not known", "refused", "smtp mail 550 5.1.8"),
        ("MAIL", "530 5.7.0 log in first", "refused", "smtp mail 530 5.7.0"),
        ("RCPT", "451 4.7.1 ada@example.com is greylisted", "unavailable", "smtp rcpt 451 4.7.1"),
        ("RCPT", "550 5.1.1 <ada@example.com> is not known", "undeliverable", "smtp rcpt 550 5.1.1"),
        ("RCPT", "550 no such user ada@example.com", "undeliverable", "smtp rcpt 550"),
        ("RCPT", "552 5.2.2 ada@example.com is full", "undeliverable", "smtp rcpt 552 5.2.2"),
        ("RCPT", "550 5.7.1 ada@example.com does not want us", "refused", "smtp rcpt 550 5.7.1"),
        ("RCPT", "554 5.7.1 relay access denied", "refused", "smtp rcpt 554 5.7.1"),
        ("RCPT", "", "unavailable", "smtp rcpt broke off"),
        ("DATA", "452 4.3.1 no room", "unavailable", "smtp data 452 4.3.1"),
        (".", "554 5.6.0 spam: 000042", "refused", "smtp message 554 5.6.0"),
        (".", "451 4.3.0 later", "unavailable", "smtp message 451 4.3.0"),
        (".", "", "unavailable", "smtp message broke off"),
    ] {
        let server = MailServer::start(&[(step, answer)]).await;
        let sender = server.sender(PLAIN);
        assert_eq!(
            told(sender.send(&email(), &code()).await),
            (outcome, reason.to_owned(), None),
            "{step} {answer}"
        );
        assert_eq!(server.letters().len(), 0);
    }
}

#[tokio::test]
async fn the_mail_server_is_given_the_credentials_and_a_wrong_password_is_a_refusal() {
    let login = |password: &str| format!("{PLAIN}username = \"app\"\npassword = \"{password}\"\n");
    let server = MailServer::start(&[]).await;
    server.sender(&login(SECRET)).send(&email(), &code()).await.unwrap();
    let answer = told(server.sender(&login("hush")).send(&email(), &code()).await);
    assert_eq!(answer, ("refused", "smtp auth 535 5.7.8".to_owned(), None));
    let busy = MailServer::start(&[("AUTH", "454 4.7.0 ask later")]).await;
    let answer = told(busy.sender(&login(SECRET)).send(&email(), &code()).await);
    assert_eq!(answer, ("unavailable", "smtp auth 454 4.7.0".to_owned(), None));
    let open = MailServer::start(&[("EHLO", "250 mail.example")]).await;
    let answer = told(open.sender(&login(SECRET)).send(&email(), &code()).await);
    assert_eq!(answer, ("refused", "smtp auth is not offered".to_owned(), None));
}

#[tokio::test]
async fn no_mail_is_sent_without_the_encryption_that_the_settings_ask_for() {
    let server = MailServer::start(&[]).await;
    let answer = told(server.sender("tls = \"starttls\"").send(&email(), &code()).await);
    assert_eq!(answer, ("refused", "smtp starttls is not offered".to_owned(), None));
    let answer = told(server.sender("").send(&email(), &code()).await);
    assert_eq!(answer.0, "unavailable", "{answer:?}");
    assert_eq!(server.letters().len(), 0);
}

#[tokio::test]
async fn a_late_smtp_answer_is_not_taken_for_the_answer_to_the_next_message() {
    let server = MailServer::start(&[("RCPT", "~")]).await;
    let sender = server.sender(PLAIN);
    let first = sender.message(&email(), &code(), "en");
    let given_up = tokio::time::timeout(Duration::from_millis(100), sender.hand_over(&first)).await;
    assert!(given_up.is_err(), "it was too late");
    let second = sender.message(&email(), &notice(), "en");
    sender.hand_over(&second).await.unwrap();
    let letters = server.letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].text().contains("too many wrong codes"), "{letters:?}");
    assert_eq!(*server.connections.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let server = MailServer::start(&[("NOOP", "")]).await;
    let sender = server.sender(PLAIN);
    for letters in 1..=3 {
        sender.send(&email(), &code()).await.unwrap();
        assert_eq!(server.letters().len(), letters);
    }
    assert_eq!(*server.connections.lock().unwrap(), 3);
}

#[tokio::test]
async fn the_mail_server_is_given_a_full_host_name_and_its_refusal_of_another_is_reported() {
    let server = MailServer::start(&[]).await;
    server.sender(PLAIN).send(&email(), &code()).await.unwrap();
    let named = format!("{PLAIN}ehlo_name = \"auth.example\"\n");
    server.sender(&named).send(&email(), &code()).await.unwrap();
    assert_eq!(*server.hellos.lock().unwrap(), ["app.example", "auth.example"]);
    let strict =
        MailServer::start(&[("EHLO", "504 5.5.2 <app.example>: name rejected\u{1b}[31m\u{202e}")]).await;
    let answer = told(strict.sender(PLAIN).send(&email(), &code()).await);
    let reason = "smtp connect 504 5.5.2 <app.example>: name rejected[31m".to_owned();
    assert_eq!(answer, ("refused", reason, None));
}
