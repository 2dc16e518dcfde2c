//! How builds went over weeks.

use super::*;

both! {
    async fn a_trend_counts_layers_and_those_from_the_cache(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "c1")]).await;
        let claim = database.claim("one").await.unwrap().unwrap();
        let step = |number, cached, layer: Option<&str>| Step {
            number,
            instruction: "RUN echo '\"cached\":true'".to_owned(),
            stage: "stage-0".to_owned(),
            line: 1,
            state: StepState::Succeeded,
            cached,
            exit_code: None,
            layer_digest: layer.map(str::to_owned),
            layer_size: None,
            started_ms: None,
            duration_ms: None,
        };
        let steps = [step(1, true, Some("sha256:a")), step(2, false, Some("sha256:b")), step(3, false, None)];
        database.put_steps(&claim, &steps).await.unwrap();
        world.pass(5);
        database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        let points = database.trend("acme/app", Duration::from_secs(60)).await.unwrap();
        let told: Vec<_> = points.iter().map(|it| (it.number, it.duration_ms, it.steps, it.cached)).collect();
        assert!((5_000..7_000).contains(&told[0].1), "{told:?}");
        assert_eq!((told.len(), told[0].0, told[0].2, told[0].3), (1, 1, 2, 1));
        assert!(database.trend("acme/other", Duration::from_secs(60)).await.unwrap().is_empty());
    }
}
