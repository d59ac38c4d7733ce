//! A relay to a service that can be closed. Its address then refuses connections, as if the service or the network were
//! down.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often an open door checks whether it should shut.
const PAUSE: Duration = Duration::from_millis(5);

/// A relay to a service, open until [`shut`](Self::shut).
pub struct Door {
    address: SocketAddr,
    ways: Arc<Ways>,
    /// The thread that accepts connections while the door is open.
    porter: Mutex<Option<JoinHandle<()>>>,
}

/// The state of the relay and its connections.
struct Ways {
    to: String,
    shut: AtomicBool,
    shut_at: Mutex<Option<Vec<u8>>>,
    going: Mutex<Vec<TcpStream>>,
}

impl Door {
    /// A relay to a service such as `http://127.0.0.1:1234`.
    pub fn to(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let to = service.strip_prefix("http://").expect("it is a service on this machine").to_owned();
        let ways =
            Ways { to, shut: AtomicBool::default(), shut_at: Mutex::default(), going: Mutex::default() };
        let address = listener.local_addr().expect("it has an address");
        let door = Self { address, ways: Arc::new(ways), porter: Mutex::default() };
        door.attend(listener);
        door
    }

    /// The address to use instead of the service's.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses new connections and cuts open ones.
    pub fn shut(&self) {
        self.ways.shut();
        self.wait_until_shut();
    }

    /// Shuts the door before the first request that contains a text.
    pub fn shut_at(&self, text: &str) {
        *lock(&self.ways.shut_at) = Some(text.as_bytes().to_owned());
    }

    /// Accepts connections again.
    pub fn open(&self) {
        self.wait_until_shut();
        self.ways.shut.store(false, Ordering::SeqCst);
        self.attend(TcpListener::bind(self.address).expect("nobody else has taken the port"));
    }

    fn wait_until_shut(&self) {
        if let Some(porter) = lock(&self.porter).take() {
            porter.join().expect("the porter ends");
        }
    }

    fn attend(&self, listener: TcpListener) {
        listener.set_nonblocking(true).expect("a listener need not wait");
        let ways = self.ways.clone();
        let porter = thread::spawn(move || {
            while !ways.shut.load(Ordering::SeqCst) {
                match listener.accept() {
                    // Errors of a client that disconnects are ignored.
                    Ok((caller, _)) => drop(lead(caller, &ways)),
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        });
        *lock(&self.porter) = Some(porter);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Ways {
    fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        for way in lock(&self.going).drain(..) {
            let _ = way.shutdown(Shutdown::Both);
        }
    }

    /// Whether the door must shut before this piece.
    fn is_last(&self, piece: &[u8]) -> bool {
        let holds = |text: &mut Vec<u8>| piece.windows(text.len()).any(|part| part == text);
        lock(&self.shut_at).take_if(holds).is_some()
    }
}

fn lead(caller: TcpStream, ways: &Arc<Ways>) -> std::io::Result<()> {
    caller.set_nonblocking(false)?;
    let service = TcpStream::connect(&ways.to)?;
    lock(&ways.going).extend([caller.try_clone()?, service.try_clone()?]);
    let (mut asking, mut asked) = (caller.try_clone()?, service.try_clone()?);
    let watch = ways.clone();
    thread::spawn(move || {
        let _ = pass(&mut asking, &mut asked, &|piece| {
            let last = watch.is_last(piece);
            if last {
                watch.shut();
            }
            !last
        });
    });
    let (mut answering, mut answered) = (service, caller);
    thread::spawn(move || pass(&mut answering, &mut answered, &|_| true));
    Ok(())
}

/// Copies until one side ends, or a piece may not pass.
fn pass(from: &mut TcpStream, to: &mut TcpStream, may_pass: &dyn Fn(&[u8]) -> bool) -> std::io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 || !may_pass(&piece[..length]) {
            return to.shutdown(Shutdown::Both);
        }
        to.write_all(&piece[..length])?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
