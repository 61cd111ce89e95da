// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.iceberg.catalog.SessionCatalog.SessionContext;
import org.apache.iceberg.io.FileIO;
import org.apache.iceberg.io.InputFile;
import org.apache.iceberg.io.OutputFile;
import org.apache.iceberg.rest.RESTSessionCatalog;

/**
 * Iceberg's own Java client as a partner in the conversation that ../talk.py describes.
 *
 * <p>A setting {@code session.NAME} goes to the credentials of a user's session, every other one to the catalog. Without
 * a session the catalog acts as itself.
 */
public final class Main {
  private static final String SESSION = "session.";

  public static void main(String[] arguments) throws IOException {
    Map<String, String> catalogSettings = new HashMap<>(Map.of("io-impl", NoFiles.class.getName()));
    Map<String, String> sessionCredentials = new HashMap<>();
    System.getenv("CLIENT_SETTINGS").lines().forEach(line -> {
      String name = line.substring(0, line.indexOf('='));
      String value = line.substring(line.indexOf('=') + 1);
      if (name.startsWith(SESSION)) {
        sessionCredentials.put(name.substring(SESSION.length()), value);
      } else {
        catalogSettings.put(name, value);
      }
    });
    SessionContext context = sessionCredentials.isEmpty()
        ? SessionContext.createEmpty()
        : new SessionContext("session-1", "user", sessionCredentials, Map.of());

    try (RESTSessionCatalog catalog = new RESTSessionCatalog();
        BufferedReader words = new BufferedReader(new InputStreamReader(System.in))) {
      answer(() -> {
        catalog.initialize("tokenberg", catalogSettings);
        return List.of();
      });
      while (words.readLine() != null) {
        answer(() -> catalog.listNamespaces(context).stream().map(Object::toString).collect(Collectors.toList()));
      }
    } finally {
      // The library's refresh threads would outlive a catalog that never opened.
      Runtime.getRuntime().halt(0);
    }
  }

  private interface Question {
    List<String> ask();
  }

  private static void answer(Question question) {
    String answer;
    try {
      String names = question.ask().stream().map(Main::quoted).collect(Collectors.joining(","));
      answer = "{\"namespaces\":[" + names + "]}";
    } catch (RuntimeException failure) {
      failure.printStackTrace();
      String kind = failure.getClass().getSimpleName();
      answer = "{\"error\":" + quoted(kind) + ",\"message\":" + quoted(String.valueOf(failure.getMessage())) + "}";
    }
    System.out.println(answer);
    System.out.flush();
  }

  static String quoted(String text) {
    return text.chars()
        .mapToObj(c -> c == '"' || c == '\\' ? "\\" + (char) c : c < ' ' ? String.format("\\u%04x", c) : "" + (char) c)
        .collect(Collectors.joining("", "\"", "\""));
  }

  /** The catalog wants a FileIO, but these conversations read no file. */
  public static final class NoFiles implements FileIO {
    @Override
    public InputFile newInputFile(String path) {
      throw new UnsupportedOperationException(path);
    }

    @Override
    public OutputFile newOutputFile(String path) {
      throw new UnsupportedOperationException(path);
    }

    @Override
    public void deleteFile(String path) {
      throw new UnsupportedOperationException(path);
    }
  }
}
