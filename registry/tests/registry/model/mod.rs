//! Random pushes, mounts, deletions, restores, collections and kills against a model: nothing is lost, and nothing gets from
//! one repository to another but by being sent or mounted.

mod expected;
mod kill;
mod player;
mod runs;
mod step;
mod universe;
