//! The commands of the command line, and which function runs each.

use super::{
    approve, bake, build, cancel, check, completion, container, deliveries, explain, image, logs, queue, registry,
    repo, retry, rollback, rules, secret, serve, sign_in, status, system, token, trigger, version, volume, worker,
    workers,
};
use crate::client::OneBuild;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from a directory or a git URL
    Build(Box<build::Arguments>),
    /// Build the targets of a bake file or a compose file
    Bake(Box<bake::Arguments>),
    /// Check a Dockerfile without building it
    Check(check::Arguments),
    /// Receive webhooks, serve the API, the pages and the registry, and build
    Serve(serve::Arguments),
    /// Run queued builds of a server
    Worker(worker::Arguments),
    /// Manage the repositories of a server
    Repo(repo::Arguments),
    /// Start builds without a push
    Trigger(Box<trigger::Arguments>),
    /// List builds, or show one
    Status(status::Arguments),
    /// List the deliveries of forges, and their outcome
    Deliveries(deliveries::Arguments),
    /// Show the queue and what each build waits for; pause and resume it
    Queue(queue::Arguments),
    /// List the workers
    Workers(workers::Arguments),
    /// Print the log of a build or a container
    Logs(logs::Arguments),
    /// Explain why the steps of a build were executed or taken from the cache
    Explain(explain::Arguments),
    /// Sign in at a server: a code is confirmed on its page, and the token is kept for the other commands
    SignIn(sign_in::Arguments),
    /// Sign out: revoke the token that `sign-in` got, and forget it
    SignOut(sign_in::Arguments),
    /// Approve the build of a fork's pull request
    Approve(OneBuild),
    /// End a build
    Cancel(OneBuild),
    /// Build again a build that has ended
    Retry(retry::Arguments),
    /// Give the tags of an earlier build its image again, without building
    Rollback(rollback::Arguments),
    /// Try the rules of a repository
    Rules(rules::Arguments),
    /// Manage a repository's secrets
    Secret(secret::Arguments),
    /// Create, list and revoke tokens of the API
    Token(token::Arguments),
    /// Manage accounts and rights of the embedded registry
    Registry(registry::Arguments),
    #[command(flatten)]
    ByHand(ByHand),
    /// Print what a shell needs to complete this program's command lines
    Completion(completion::Arguments),
    /// Write the manual pages of all commands
    Man(completion::Man),
    /// Print the versions of this program and of the server
    Version(version::Arguments),
}

/// The commands for images and containers by hand.
#[derive(Debug, Subcommand)]
pub(crate) enum ByHand {
    /// List the images that are kept here
    Images(image::ls::Arguments),
    /// Manage the images that are kept here
    Image(image::Arguments),
    /// Get an image from a registry
    Pull(image::pull::Arguments),
    /// Send an image to a registry
    Push(image::push::Arguments),
    /// Search the repositories of a registry
    Search(image::search::Arguments),
    /// Give an image another name
    Tag(image::tag::Arguments),
    /// Remove images
    Rmi(image::rm::Arguments),
    /// Show everything that is known of images and containers
    Inspect(image::inspect::Arguments),
    /// Show how an image was made
    History(image::history::Arguments),
    /// Write images as an archive
    Save(image::archive::Save),
    /// Take the images of an archive in
    Load(image::archive::Load),
    /// Make an image of a tar of files
    Import(image::import::Arguments),
    /// Log in at a registry
    Login(image::login::Login),
    /// Forget the login of a registry
    Logout(image::login::Logout),
    /// Run a command in a new container
    Run(Box<container::run::Arguments>),
    /// Make a container without starting it
    Create(Box<container::run::Arguments>),
    /// List containers
    Ps(container::ps::Arguments),
    /// Start containers that have ended
    Start(container::start::Arguments),
    /// Print what a container prints, and type to it
    Attach(container::start::Attach),
    /// Ask containers to end, and end those that do not
    Stop(container::stop::Stop),
    /// Start containers again
    Restart(container::stop::Stop),
    /// Send a signal to containers
    Kill(container::stop::Kill),
    /// Wait for the end of containers and print their exit codes
    Wait(container::stop::Names),
    /// Stop the processes of containers where they are
    Pause(container::stop::Names),
    /// Let the processes of containers go on
    Unpause(container::stop::Names),
    /// Remove containers
    Rm(container::rm::Arguments),
    /// Give a container another name
    Rename(container::rm::Rename),
    /// Run a command in a container that runs
    Exec(container::exec::Arguments),
    /// List the processes of a container
    Top(container::exec::Top),
    /// Copy files between a container and this machine
    Cp(container::cp::Arguments),
    /// Show which resources containers use
    Stats(container::stats::Arguments),
    /// Make an image of what a container changed
    Commit(container::commit::Arguments),
    /// List what a container changed
    Diff(container::commit::Diff),
    /// Write all files of a container as a tar
    Export(container::commit::Export),
    /// Manage containers
    Container(container::Arguments),
    /// Manage volumes
    Volume(volume::Arguments),
    /// Show what takes up space, and remove what nobody uses
    System(system::Arguments),
    /// Hold a container; started by `run` and `start`
    #[command(name = "hold-container", hide = true)]
    Supervise(container::supervise::Arguments),
}

/// Runs `command`.
pub(crate) fn run(command: Command, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match command {
        Command::Build(arguments) => build::run(&arguments, data_dir),
        Command::Bake(arguments) => bake::run(&arguments, data_dir),
        Command::Check(arguments) => check::run(&arguments, data_dir),
        Command::Serve(arguments) => serve::run(&arguments, data_dir),
        Command::Worker(arguments) => worker::run(&arguments, data_dir),
        Command::Repo(arguments) => repo::run(&arguments),
        Command::Trigger(arguments) => trigger::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Deliveries(arguments) => deliveries::run(&arguments),
        Command::Queue(arguments) => queue::run(&arguments),
        Command::Workers(arguments) => workers::run(&arguments),
        Command::Completion(arguments) => completion::run(&arguments),
        Command::Man(arguments) => completion::man(&arguments),
        Command::Version(arguments) => version::run(&arguments),
        Command::SignIn(arguments) => sign_in::begin(&arguments),
        Command::SignOut(arguments) => sign_in::end(&arguments),
        Command::Logs(arguments) => logs::run(&arguments, data_dir),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Approve(arguments) => approve::run(&arguments),
        Command::Cancel(arguments) => cancel::run(&arguments),
        Command::Retry(arguments) => retry::run(&arguments),
        Command::Rollback(arguments) => rollback::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Secret(arguments) => secret::run(&arguments),
        Command::Token(arguments) => token::run(&arguments, data_dir),
        Command::Registry(arguments) => registry::run(&arguments, data_dir),
        Command::ByHand(command) => run_by_hand(command, data_dir),
    }
}

fn run_by_hand(command: ByHand, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match command {
        ByHand::Run(arguments) => container::run::run(&arguments, data_dir),
        ByHand::Create(arguments) => container::run::create(&arguments, data_dir),
        ByHand::Ps(arguments) => container::ps::run(&arguments, data_dir),
        ByHand::Start(arguments) => container::start::run(&arguments, data_dir),
        ByHand::Attach(arguments) => container::start::attach(&arguments, data_dir),
        ByHand::Stop(arguments) => container::stop::stop(&arguments, data_dir),
        ByHand::Restart(arguments) => container::stop::restart(&arguments, data_dir),
        ByHand::Kill(arguments) => container::stop::kill(&arguments, data_dir),
        ByHand::Wait(arguments) => container::stop::wait(&arguments, data_dir),
        ByHand::Pause(arguments) => container::stop::freeze(&arguments, data_dir, true),
        ByHand::Unpause(arguments) => container::stop::freeze(&arguments, data_dir, false),
        ByHand::Rm(arguments) => container::rm::run(&arguments, data_dir),
        ByHand::Rename(arguments) => container::rm::rename(&arguments, data_dir),
        ByHand::Exec(arguments) => container::exec::run(&arguments, data_dir),
        ByHand::Top(arguments) => container::exec::top(&arguments, data_dir),
        ByHand::Cp(arguments) => container::cp::run(&arguments, data_dir),
        ByHand::Stats(arguments) => container::stats::run(&arguments, data_dir),
        ByHand::Commit(arguments) => container::commit::run(&arguments, data_dir),
        ByHand::Diff(arguments) => container::commit::diff(&arguments, data_dir),
        ByHand::Export(arguments) => container::commit::export(&arguments, data_dir),
        ByHand::Container(arguments) => container::run_group(arguments, data_dir),
        ByHand::Volume(arguments) => volume::run_group(arguments, data_dir),
        ByHand::System(arguments) => system::run(&arguments, data_dir),
        ByHand::Supervise(arguments) => container::supervise::run(&arguments, data_dir),
        ByHand::Images(arguments) => image::ls::run(&arguments, data_dir),
        ByHand::Image(arguments) => image::run(&arguments, data_dir),
        ByHand::Pull(arguments) => image::pull::run(&arguments, data_dir),
        ByHand::Push(arguments) => image::push::run(&arguments, data_dir),
        ByHand::Search(arguments) => image::search::run(&arguments, data_dir),
        ByHand::Tag(arguments) => image::tag::run(&arguments, data_dir),
        ByHand::Rmi(arguments) => image::rm::run(&arguments, data_dir),
        ByHand::Inspect(arguments) => image::inspect::run(&arguments, data_dir, image::inspect::Kind::Any),
        ByHand::History(arguments) => image::history::run(&arguments, data_dir),
        ByHand::Save(arguments) => image::archive::save(&arguments, data_dir),
        ByHand::Load(arguments) => image::archive::load(&arguments, data_dir),
        ByHand::Import(arguments) => image::import::run(&arguments, data_dir),
        ByHand::Login(arguments) => image::login::login(&arguments, data_dir),
        ByHand::Logout(arguments) => image::login::logout(&arguments),
    }
}
