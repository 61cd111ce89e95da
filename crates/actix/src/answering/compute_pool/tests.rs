//! Limits and queues of computations: AB-02 and HT-31 of the conformance list.

use super::*;
use std::sync::mpsc;

#[actix_web::test]
async fn ab_02_permits_and_the_queue_are_bounded_and_returned() {
    let pool = Arc::new(ComputePool::new("digest", 1, 1, Arc::default()));
    let (release, wait) = mpsc::channel::<()>();
    let holder = Arc::clone(&pool);
    let first = actix_web::rt::spawn(async move { holder.run(move || wait.recv().is_ok()).await });
    while pool.permits.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let mut second = Box::pin(pool.run(|| 2));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    assert_eq!(pool.run(|| 3).await, Err(Fault::Overloaded));
    let mut exposition = Exposition::default();
    ComputePool::expose(&[&pool], &mut exposition);
    let text = exposition.into_text();
    for name in ["running", "waiting", "refused_total"] {
        let line = format!("tokenberg_costly_{name}{{work=\"digest\"}} 1");
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
    // A caller that leaves the queue makes room in it.
    drop(second);
    assert_eq!(pool.waiting.load(Ordering::Acquire), 0);
    let mut fourth = Box::pin(pool.run(|| 4));
    assert!(futures_util::poll!(fourth.as_mut()).is_pending());
    release.send(()).unwrap();
    assert_eq!(fourth.await, Ok(4));
    assert_eq!(first.await.unwrap(), Ok(true));
    assert_eq!(pool.permits.available_permits(), 1);
}

#[actix_web::test]
async fn ab_02_r11_callers_of_the_same_computation_wait_for_the_first_only() {
    let pool = ComputePool::new("digest", 1, 0, Arc::default());
    let first = pool.single_flight(("c1", "s")).await.unwrap();
    let mut same = [(); 3].map(|()| Box::pin(pool.single_flight(("c1", "s"))));
    for waiting in &mut same {
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    }
    assert!(
        pool.single_flight(("c2", "s")).await.is_some() && pool.single_flight(("c1", "t")).await.is_some()
    );
    drop(first);
    for waiting in same {
        assert!(waiting.await.is_none());
    }
    assert!(pool.single_flight(("c1", "s")).await.is_some());
    assert!(pool.under_way().is_empty(), "nothing is kept of a finished flight");
}

#[actix_web::test]
async fn ab_02_no_more_wait_than_are_computed_within_a_second() {
    let pool = Arc::new(ComputePool::new("digest", 2, 64, Arc::default()));
    let limit_with = |typical: u64| {
        pool.typical.0.store(typical * 1_000_000, Ordering::Relaxed);
        pool.limit()
    };
    let limits = [0, 1, 20, 40, 400, 2000].map(limit_with);
    assert_eq!(limits, [64, 64, 64, 50, 4, 1]);
    limit_with(800);
    let (release, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let held = [(); 2].map(|()| {
        let (pool, wait) = (Arc::clone(&pool), Arc::clone(&wait));
        actix_web::rt::spawn(async move { pool.run(move || wait.lock().unwrap().recv().is_ok()).await })
    });
    while pool.permits.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let mut queue = [(); 2].map(|()| Box::pin(pool.run(|| true)));
    for waiting in &mut queue {
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    }
    assert_eq!(pool.run(|| true).await, Err(Fault::Overloaded));
    assert_eq!(pool.refused.load(Ordering::Relaxed), 1);
    (0..2).for_each(|_| release.send(()).unwrap());
    for done in futures_util::future::join_all(held).await {
        assert_eq!(done.unwrap(), Ok(true));
    }
    assert_eq!(futures_util::future::join_all(queue).await, [Ok(true), Ok(true)]);
    assert_eq!(pool.run(|| true).await, Ok(true), "afterwards");
}

#[test]
fn what_is_typical_falls_quickly_and_rises_slowly() {
    let typical = Typical::default();
    let after = |times: usize, milliseconds| {
        (0..times).for_each(|_| typical.learn(Duration::from_millis(milliseconds)));
        typical.get().as_millis()
    };
    assert_eq!(after(1, 40), 40);
    assert_eq!(after(1, 5000), 41, "the machine was busy with something else");
    assert_eq!(after(10, 10), 11);
    assert!((30..=40).contains(&after(200, 40)));
}

#[actix_web::test]
async fn ht_31_a_panic_returns_the_permit() {
    let pool = ComputePool::new("digest", 1, 0, Arc::default());
    for _ in 0..2 {
        assert_eq!(pool.run(|| assert!(std::hint::black_box(false))).await, Err(Fault::Panicked));
    }
    assert_eq!(pool.run(|| 1).await, Ok(1));
}
