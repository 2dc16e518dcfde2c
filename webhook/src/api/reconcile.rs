//! `/v1/repos/{ns}/{name}/reconcile` and `/base-images`: polls for missed pushes, checks of tags, and polls of base images.

use super::named::Visible;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::repository::{BaseImagesView, ReconcileView, RefPollView, SeenBaseImage, TagNote};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

/// Shows what is known of one repository.
pub(crate) async fn show(
    State(service): State<Service>,
    Visible { entry, .. }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = &entry.document.name;
    let state = service.database.ref_poll_state(name).await?;
    let notes = service.database.tag_notes(name).await?;
    let shown = ReconcileView {
        repository: name.clone(),
        pushes: state.as_ref().map(RefPollView::from),
        tags: notes.into_iter().map(|(tag, note)| TagNote { tag, note }).collect(),
    };
    Ok(answer::document(&headers, &shown))
}

/// Shows what is known of the images that the newest builds were made from.
pub(crate) async fn base_images(
    State(service): State<Service>,
    Visible { entry, .. }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = &entry.document.name;
    let seen = crate::background::base_images::of_repository(&service.database, name).await?;
    let shown = BaseImagesView {
        repository: name.clone(),
        rebuild: entry.repository.base_image_rebuild,
        base_images: seen.iter().map(SeenBaseImage::from).collect(),
    };
    Ok(answer::document(&headers, &shown))
}
