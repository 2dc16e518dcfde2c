//! Reliability: crashes, full disks, lost power, lost databases, cancellation.

pub mod bit_rot;
pub mod cancel;
pub mod crash;
pub mod failing_disk;
pub mod faults;
pub mod kill_matrix;
pub mod out_of_memory;
pub mod outages;
pub mod postgres;
pub mod power_loss;
pub mod retries;
pub mod slow_disk;
pub mod workers;
