//! The seccomp filter of the compiler: it allows memory, threads, time, random numbers and the files that are already
//! open. It allows no new files, sockets or processes.

/// Applies the filter to this process, permanently. Does nothing if the kernel or the system has no seccomp: then only
/// the process limits apply.
pub(crate) fn confine() {
    #[cfg(target_os = "linux")]
    if let Some(filter) = linux::filter() {
        let _ = seccompiler::apply_filter(&filter);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare, SeccompCondition,
        SeccompFilter, SeccompRule,
    };

    /// Allowed whatever their arguments.
    const ALLOWED: &[libc::c_long] = &[
        // Open files: the socket to the parent, and standard error.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_ppoll,
        libc::SYS_close,
        // Memory.
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        // Threads and their exit.
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // Signals, including those to itself, which abort the process.
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_kill,
        libc::SYS_tgkill,
        // Time, and random numbers.
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
    ];

    /// `None` if the processor is not supported.
    pub(crate) fn filter() -> Option<BpfProgram> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        let when = |index, compare, value| {
            let condition = SeccompCondition::new(index, Length::Dword, compare, value).ok()?;
            Some(vec![SeccompRule::new(vec![condition]).ok()?])
        };
        // Threads but no processes. Without `clone3`, libc falls back to `clone`, whose flags the filter can check.
        let thread = u64::try_from(libc::CLONE_VM | libc::CLONE_THREAD).ok()?;
        rules.insert(libc::SYS_clone, when(0, Compare::MaskedEq(thread), thread)?);
        // Thread names.
        rules.insert(libc::SYS_prctl, when(0, Compare::Eq, u64::try_from(libc::PR_SET_NAME).ok()?)?);
        let refused = SeccompAction::Errno(u32::try_from(libc::ENOSYS).ok()?);
        let filter =
            SeccompFilter::new(rules, refused, SeccompAction::Allow, std::env::consts::ARCH.try_into().ok()?);
        filter.ok()?.try_into().ok()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, net, os::unix::net::UnixDatagram, process::Command, thread};

    use super::*;

    #[test]
    fn nothing_is_opened_connected_or_started() {
        let outcomes = thread::spawn(|| {
            let tries = || {
                [
                    ("a file", fs::File::open("/etc/passwd").is_ok()),
                    ("a new file", fs::write("/tmp/alekseylearn-confined", "x").is_ok()),
                    ("a removal", fs::remove_file("/tmp/alekseylearn-confined").is_ok()),
                    ("a folder", fs::read_dir("/").is_ok()),
                    ("a server", net::TcpListener::bind("127.0.0.1:0").is_ok()),
                    ("a datagram", UnixDatagram::unbound().is_ok()),
                    (
                        "a program",
                        Command::new("/bin/true").spawn().is_ok_and(|mut child| child.wait().is_ok()),
                    ),
                ]
            };
            let before = tries();
            confine();
            // Threads and memory still work.
            let sum: usize = thread::spawn(|| vec![1; 1 << 20].iter().sum()).join().unwrap();
            (before, tries(), sum)
        });
        let (before, after, sum) = outcomes.join().unwrap();
        assert!(before.iter().all(|(_, worked)| *worked), "{before:?}");
        assert!(after.iter().all(|(_, worked)| !worked), "{after:?}");
        assert_eq!(sum, 1 << 20);
    }
}
