// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Phaser;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.SessionCatalog.SessionContext;
import org.apache.iceberg.rest.RESTSessionCatalog;

/**
 * Opens sessions of users at a steady rate, the way Trino does with {@code iceberg.rest-catalog.session=USER}: a new
 * session for every query, which Iceberg then keeps and renews until it has been idle for an hour.
 *
 * <p>In the conversation that ../talk.py describes it answers four words: {@code go} begins or goes on, {@code pause}
 * stops and waits for the calls that have begun, {@code token USER TOKEN END} makes later sessions of this user begin with
 * this ID token, which ends at END (seconds since 1970), and {@code count} only counts. Without ID tokens each user is
 * named in an unsecured JWT. Every answer is the counts so far.
 */
public final class Sessions {
  private static final String USERS = "users.";
  private static final String JWT = "urn:ietf:params:oauth:token-type:jwt";
  private static final String ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token";
  private static final String TRINO = "483";
  private static final Namespace ASKED = Namespace.of("demo");

  private final RESTSessionCatalog catalog = new RESTSessionCatalog();
  private final String[] names;
  private final String actor;
  private final long everyMillis;
  private final long callEveryMillis;
  private final long usedForMillis;
  private final Map<String, IdToken> idTokens = new ConcurrentHashMap<>();
  private final ScheduledExecutorService clock = Executors.newScheduledThreadPool(1);
  private final ExecutorService calls = Executors.newFixedThreadPool(32);
  private final Phaser running = new Phaser(1);
  private final Counts counts = new Counts();
  private volatile boolean paused = true;
  private long opened;

  private Sessions(Map<String, String> terms) {
    names = terms.get("names").split(",");
    actor = terms.get("actor");
    everyMillis = Long.parseLong(terms.get("new-every-ms"));
    callEveryMillis = Long.parseLong(terms.get("call-every-ms"));
    usedForMillis = Long.parseLong(terms.get("used-for-ms"));
  }

  public static void main(String[] arguments) throws IOException {
    Map<String, String> settings = new HashMap<>(Map.of("io-impl", Main.NoFiles.class.getName()));
    Map<String, String> terms = new HashMap<>();
    System.getenv("CLIENT_SETTINGS").lines().forEach(line -> {
      String name = line.substring(0, line.indexOf('='));
      String value = line.substring(line.indexOf('=') + 1);
      if (name.startsWith(USERS)) {
        terms.put(name.substring(USERS.length()), value);
      } else {
        settings.put(name, value);
      }
    });
    try (BufferedReader words = new BufferedReader(new InputStreamReader(System.in))) {
      Sessions sessions = new Sessions(terms);
      sessions.catalog.initialize("tokenberg", settings);
      sessions.clock.scheduleAtFixedRate(sessions::open, 0, sessions.everyMillis, TimeUnit.MILLISECONDS);
      for (String line = "count"; line != null; line = words.readLine()) {
        System.out.println(sessions.answer(line.split(" ")));
        System.out.flush();
      }
    } catch (RuntimeException failure) {
      failure.printStackTrace();
    } finally {
      // The library's refresh threads would outlive this.
      Runtime.getRuntime().halt(0);
    }
  }

  private String answer(String[] words) {
    switch (words[0]) {
      case "go":
        counts.begin();
        paused = false;
        break;
      case "pause":
        paused = true;
        running.arriveAndAwaitAdvance();
        break;
      case "token":
        idTokens.put(words[1], new IdToken(words[2], Long.parseLong(words[3])));
        break;
      case "count":
        break;
      default:
        throw new IllegalArgumentException("unknown word " + words[0]);
    }
    return counts.toString();
  }

  /** One query of the next user: a session of its own, which is used again until it is too old. */
  private void open() {
    if (paused) {
      return;
    }
    String user = names[(int) (opened % names.length)];
    Session session = new Session(user, user + "-query-" + opened, idTokens.get(user));
    opened += 1;
    counts.add("sessions");
    call(session);
    for (long age = callEveryMillis; age <= usedForMillis; age += callEveryMillis) {
      clock.schedule(() -> call(session), age, TimeUnit.MILLISECONDS);
    }
  }

  private void call(Session session) {
    running.register();
    if (paused) {
      running.arriveAndDeregister();
      return;
    }
    calls.execute(() -> {
      boolean ended = session.hasEnded();
      try {
        Map<String, String> answer = catalog.loadNamespaceMetadata(session.context(), ASKED);
        boolean named = session.user.equals(answer.get("subject")) && actor.equals(answer.get("actors"));
        counts.add(named ? "ok" : "wrong_user");
        if (ended) {
          counts.add("ok_after_end");
        }
      } catch (RuntimeException failure) {
        counts.fail(failure, session.hasEnded());
      } finally {
        running.arriveAndDeregister();
      }
    });
  }

  private static final class IdToken {
    private final String token;
    private final long end;

    private IdToken(String token, long end) {
      this.token = token;
      this.end = end;
    }
  }

  private static final class Session {
    private final String user;
    private final String id;
    private final IdToken idToken;

    private Session(String user, String id, IdToken idToken) {
      this.user = user;
      this.id = id;
      this.idToken = idToken;
    }

    /** Made anew for every call, as Trino does; Iceberg finds the session by its id and ignores a newer credential. */
    private SessionContext context() {
      Map<String, String> credentials =
          idToken == null ? Map.of(JWT, unsecured(user)) : Map.of(ID_TOKEN, idToken.token);
      return new SessionContext(id, user, credentials, Map.of("user", user, "trinoVersion", TRINO));
    }

    private boolean hasEnded() {
      return idToken != null && System.currentTimeMillis() >= 1000 * idToken.end;
    }
  }

  /** The claims of Trino's TrinoRestCatalog, in its order. */
  private static String unsecured(String user) {
    String claims = String.format(
        "{\"sub\":\"%s\",\"iss\":\"%s\",\"iat\":%d,\"user\":\"%s\",\"source\":\"\",\"trinoCatalog\":\"lake\",\"trinoVersion\":\"%s\"}",
        user, TRINO, System.currentTimeMillis() / 1000, user, TRINO);
    return encoded("{\"alg\":\"none\"}") + "." + encoded(claims) + ".";
  }

  private static String encoded(String text) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  /** What happened how often, and when calls failed, in seconds since the first {@code go}. */
  private static final class Counts {
    private final Map<String, Long> counts = new TreeMap<>();
    private final Map<String, Long> failures = new TreeMap<>();
    private long began;
    private Long firstFailure;
    private Long lastFailure;

    private synchronized void begin() {
      began = began == 0 ? System.nanoTime() : began;
    }

    private synchronized void add(String what) {
      counts.merge(what, 1L, Long::sum);
    }

    private synchronized void fail(RuntimeException failure, boolean afterEnd) {
      add(afterEnd ? "failed_after_end" : "failed");
      if (afterEnd) {
        return;
      }
      lastFailure = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - began);
      firstFailure = firstFailure == null ? lastFailure : firstFailure;
      String said = failure.getClass().getSimpleName() + ": " + failure.getMessage();
      // The request's number would make every message another one.
      failures.merge(said.replaceAll(" \\(request [0-9a-f]+\\)", "").replaceAll("\\s+", " "), 1L, Long::sum);
    }

    @Override
    public synchronized String toString() {
      return "{\"counts\":" + json(counts) + ",\"failures\":" + json(failures) + ",\"first_failure\":" + firstFailure
          + ",\"last_failure\":" + lastFailure + "}";
    }

    private static String json(Map<String, Long> counted) {
      return counted.entrySet().stream()
          .map(entry -> Main.quoted(entry.getKey()) + ":" + entry.getValue())
          .collect(Collectors.joining(",", "{", "}"));
    }
  }
}
