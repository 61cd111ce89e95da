//! Limits, queues and turns of computations: AB-02 and HT-31 of the conformance list.

use super::*;
use futures_util::FutureExt;
use std::sync::mpsc;

#[actix_web::test]
async fn ab_02_permits_and_the_queue_are_bounded_and_returned() {
    let pool = Arc::new(ComputePool::new("digest", (1, 1), Duration::ZERO, Arc::default()));
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
    let pool = ComputePool::new("digest", (1, 0), Duration::ZERO, Arc::default());
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
async fn ab_02_no_more_wait_than_are_answered_within_a_second() {
    let pool = Arc::new(ComputePool::new("digest", (2, 64), Duration::ZERO, Arc::default()));
    let limit_with = |typical: u64| {
        pool.typical.0.store(typical * 1_000_000, Ordering::Relaxed);
        pool.limit()
    };
    let limits = [0, 1, 20, 40, 400, 2000].map(limit_with);
    assert_eq!(limits, [64, 64, 64, 40, 4, 1]);
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
async fn a_worker_computes_itself_what_is_brief_and_first_answers_what_has_arrived() {
    use std::io::Write;
    use tokio::io::AsyncReadExt;
    let here = std::thread::current().id();
    let order = Arc::new(Mutex::new(Vec::new()));
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let mut far = actix_web::rt::net::UnixStream::from_std(far).unwrap();
    let arrived = Arc::clone(&order);
    let other = actix_web::rt::spawn(async move {
        far.read_u8().await.unwrap();
        arrived.lock().unwrap().push("another request");
    });
    tokio::task::yield_now().await;
    let pool = Arc::new(ComputePool::new("signature", (1, 8), Duration::from_secs(60), Arc::default()));
    let first = pool.run(|| std::thread::current().id()).await;
    assert_ne!(first, Ok(here), "how long it takes is not known");
    let sign = || {
        let (pool, order, mut near) = (Arc::clone(&pool), Arc::clone(&order), near.try_clone().unwrap());
        actix_web::rt::spawn(async move {
            let signature = move || {
                order.lock().unwrap().push("a signature");
                let _ = near.write_all(b"x");
                std::thread::current().id()
            };
            pool.run(signature).await
        })
    };
    for signed in futures_util::future::join_all([sign(), sign(), sign()]).await {
        assert_eq!(signed.unwrap(), Ok(here));
    }
    other.await.unwrap();
    let order = order.lock().unwrap().clone();
    assert_eq!(order, ["a signature", "another request", "a signature", "a signature"]);
}

#[actix_web::test]
async fn a_worker_with_much_else_to_do_hands_computations_over() {
    let here = std::thread::current().id();
    let pool = ComputePool::new("signature", (1, 8), Duration::from_millis(1), Arc::default());
    pool.typical.0.store(1, Ordering::Relaxed);
    let thread = || async {
        actix_web::rt::spawn(async { std::thread::sleep(Duration::from_millis(2)) });
        pool.run(|| std::thread::current().id()).await.unwrap()
    };
    for _ in 0..=ELSEWHERE {
        assert_ne!(thread().await, here);
        pool.typical.0.store(1, Ordering::Relaxed);
    }
    assert_eq!((ELSEWHERE_LEFT.get(), COMPUTES.get()), (0, false), "then it tries again");
}

#[actix_web::test]
async fn of_each_worker_one_computation_at_a_time() {
    let here = std::thread::current().id();
    let pool = ComputePool::new("signature", (2, 8), Duration::from_secs(60), Arc::default());
    let thread = || pool.run(|| std::thread::current().id());
    thread().await.unwrap();
    let (first, second) = futures_util::future::join(thread(), thread()).await;
    assert_eq!(first, Ok(here));
    assert_ne!(second, Ok(here), "the other permit is for another core");
    // One that is given up does not keep the turn.
    assert!(futures_util::poll!(Box::pin(thread())).is_pending());
    assert_eq!(thread().await, Ok(here));
}

#[actix_web::test]
async fn ht_31_a_panic_returns_the_permit() {
    let pool = ComputePool::new("digest", (1, 0), Duration::ZERO, Arc::default());
    for _ in 0..2 {
        assert_eq!(pool.run(|| assert!(std::hint::black_box(false))).await, Err(Fault::Panicked));
    }
    assert_eq!(pool.run(|| 1).await, Ok(1));
}

#[actix_web::test]
async fn ht_31_a_panic_on_a_worker_returns_the_permit_and_the_turn() {
    let here = std::thread::current().id();
    let pool = ComputePool::new("signature", (1, 0), Duration::from_secs(60), Arc::default());
    pool.typical.0.store(1, Ordering::Relaxed);
    for _ in 0..2 {
        let panicking = pool.run(|| assert!(std::hint::black_box(false)));
        assert!(std::panic::AssertUnwindSafe(panicking).catch_unwind().await.is_err());
    }
    assert_eq!(pool.run(|| std::thread::current().id()).await, Ok(here));
}
