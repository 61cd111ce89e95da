// SPDX-License-Identifier: Apache-2.0

import io.trino.plugin.iceberg.IcebergPlugin;
import io.trino.server.testing.TestingTrinoServer;
import java.io.PrintStream;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * One Trino server on loopback with one Iceberg catalog, {@code lake}, whose properties are the settings that ../talk.py
 * describes. Its only answer is its address; it ends with its standard input.
 */
public final class Trino {
  public static void main(String[] arguments) {
    PrintStream answers = System.out; // the server makes log lines of what is printed later
    PrintStream errors = System.err;
    Map<String, String> properties = System.getenv("CLIENT_SETTINGS").lines()
        .map(line -> line.split("=", 2))
        .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
    try (TestingTrinoServer server = TestingTrinoServer.create()) {
      server.installPlugin(new IcebergPlugin());
      server.createCatalog("lake", "iceberg", properties);
      answers.println("{\"url\":\"" + server.getBaseUrl() + "\"}");
      answers.flush();
      while (System.in.read() >= 0) {
        // Nothing is asked by words; queries come by HTTP.
      }
    } catch (Throwable failure) {
      failure.printStackTrace(errors);
    } finally {
      // Threads of the server would outlive it.
      Runtime.getRuntime().halt(0);
    }
  }
}
