//! The helper: this program, started again, inside namespaces of its own. Everything below runs there.
//!
//! It is single-threaded and forks for each request, so that a hostile file can at worst end the handling of one request.

mod allocate;
mod answers;
mod bpf;
mod child;
mod container;
mod copy;
mod diff;
mod disk;
mod evict;
mod exec;
mod execute;
mod export;
mod fast_directory;
mod fatal;
mod files;
mod follow;
mod init;
mod isolated_root;
mod limit;
mod lock;
mod loopback;
mod measure;
mod mount;
mod notification;
mod overlay;
mod owner;
mod placeholder;
mod program;
mod redundant_changes;
mod remove;
mod rename;
mod rootfs;
mod run;
mod seccomp;
mod seed;
mod self_test;
mod serve;
mod sockets;
mod start;
mod stream;
mod syscall_range;
mod syscalls;
mod syscalls32;
mod unpack;
mod usage;
mod user;
mod volume;
mod walk;

pub use start::enter_if_asked;
