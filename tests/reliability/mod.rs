//! Reliability: crashes, full disks, lost power, lost databases, cancellation.

pub(crate) mod bit_rot;
pub(crate) mod bounded_memory;
pub(crate) mod cancel;
pub(crate) mod crash;
pub(crate) mod failing_disk;
pub(crate) mod faults;
pub(crate) mod idle_workers;
pub(crate) mod kill_matrix;
pub(crate) mod killed_commands;
pub(crate) mod out_of_memory;
pub(crate) mod outages;
pub(crate) mod postgres;
pub(crate) mod power_loss;
pub(crate) mod retries;
pub(crate) mod slow_disk;
pub(crate) mod workers;
