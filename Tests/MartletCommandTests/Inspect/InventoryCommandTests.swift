import Foundation
import MartletTestKit
import Testing

/// Inventories on the command line: `@group`, `martlet hosts`.
@Suite(.leakChecked) struct InventoryCommandTests {
    private static let text = """
        variables = { user = "root" }
        [groups.web]
        hosts = ["web[01-04]", "!web03"]
        spec = "local?nice={n}"
        variables = { n = 1 }
        [groups.site]
        groups = ["web"]
        hosts = ["db1"]
        [hosts.web04]
        variables = { n = 2, tags = ["a", "b"] }
        [hosts.db1]
        spec = "local"
        """

    private func withInventory(_ text: String = text, _ body: (String) async throws -> Void) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "inventory-\(UUID().uuidString).toml").path
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        try await body(file)
    }

    @Test func `Groups, sets and names of the inventory mean its hosts`() async throws {
        try await withInventory { file async throws in
            let run = try await MartletProgram.run([
                "run", "--inventory", file, "-b", "-H", "@site!web01", "--", "nice",
            ])
            #expect(run.exitCode == 0, "\(run.errors)")
            #expect(
                Set(run.outputLines) == ["web02 (1 host):", "  1", "web04 (1 host):", "  2", "db1 (1 host):", "  0"])
            let named = try await MartletProgram.run(
                ["run", "-H", "web04,web[01-02],local", "--", "nice"], environment: ["MARTLET_INVENTORY": file])
            #expect(named.outputLines.sorted() == ["local: 0", "web01: 1", "web02: 1", "web04: 2"], "\(named.errors)")
            let both = try await MartletProgram.run(["run", "--inventory", file, "-H", "@web&web[02-09]", "--", "true"])
            #expect(both.errors.contains("2 hosts: 2 succeeded"), "\(both.errors)")
        }
    }

    @Test func `hosts shows what words stand for`() async throws {
        try await withInventory { file async throws in
            let all = try await MartletProgram.run(["hosts", "--inventory", file])
            #expect(all.outputLines.first == "host   spec          groups      variables")
            #expect(
                all.outputLines.contains("web04  local?nice=2  @site @web  n=2 tags=[a, b] user=root"), "\(all.output)")
            let json = try await MartletProgram.run(["hosts", "--inventory", file, "--json", "@web!web01", "other"])
            let lines = try jsonLines(json.output)
            #expect(lines.map { $0["host"] as? String } == ["web02", "web04", "other"])
            #expect(lines[2]["spec"] as? String == "ssh:other" && lines[0]["groups"] as? [String] == ["site", "web"])
        }
    }

    private static let gateways = """
        spec = "local"
        [groups.inner]
        hosts = ["a[1-4]"]
        via = ["gone", "gw1", "gw2"]
        [groups.lost]
        hosts = ["b"]
        via = ["gone"]
        [hosts.gw1]
        [hosts.gw2]
        [hosts.gone]
        spec = "unix:/nonexistent/socket"
        """
    /// Prints the process that the host's agent was started by.
    private static let gateway = "ps -o ppid= -p $PPID"

    @Test func `Hosts are reached through gateways that live, by every command; --via is the user's own way`()
        async throws
    {
        try await withInventory(Self.gateways) { file async throws in
            func martlet(_ words: String...) async throws -> ProgramResult {
                try await MartletProgram.run(words, environment: ["MARTLET_INVENTORY": file])
            }
            let run = try await martlet("run", "-H", "@inner", "--", Self.gateway)
            #expect(run.exitCode == 0 && run.outputLines.count == 4, "\(run.errors)")
            let started = Dictionary(grouping: run.outputLines) { $0.split(separator: " ").last }
            #expect(started.count == 2 && started.values.allSatisfy { $0.count == 2 }, "\(run.output)")
            let json = try jsonLines(try await martlet("hosts", "--json", "a1").output)
            #expect(json[0]["via"] as? [String] == ["gone", "gw1", "gw2"])
            #expect(try await martlet("hosts", "b").outputLines[0] == "host  spec   via   groups  variables")
            let shell = try await martlet("shell", "a1", "--", "echo $PPID; \(Self.gateway)")
            #expect(shell.exitCode == 0 && shell.outputLines.count == 2, "\(shell.errors)")
            let tool = try await martlet("with", "a2", "--", "ssh", "any", "echo there")
            #expect(tool.output == "there\n", "\(tool.errors)")
            let doctor = try await martlet("doctor", "gw1")
            #expect(doctor.exitCode == 0, "\(doctor.output)\(doctor.errors)")
            let lost = try await martlet("run", "-H", "b,a3", "--", "echo fine")
            #expect(lost.exitCode == 3 && lost.output == "a3: fine\n", "\(lost.errors)")
            #expect(lost.errors.contains("b is behind gone, which cannot be reached"), "\(lost.errors)")
            let own = try await martlet("run", "--via", "local", "-H", "b", "--", "echo fine")
            #expect(own.exitCode == 0 && own.output == "b: fine\n", "\(own.errors)")
        }
    }

    @Test func `What -H takes as a spec an inventory takes too`() async throws {
        try await withTestFolder { folder async throws in
            let secret = "\(folder)/secret"
            #expect(try await MartletProgram.run(["serve", "--create-secret", secret]).exitCode == 0)
            let spec = "tls:10.0.0.1:7000?secret-file=\(secret)"
            try await withInventory("[hosts.dialled]\nspec = '\(spec)'") { file async throws in
                let hosts = try await MartletProgram.run(["hosts", "--inventory", file])
                #expect(hosts.exitCode == 0 && hosts.output.contains("\ndialled  \(spec)"), "\(hosts.errors)")
            }
        }
    }

    @Test func `What is wrong with an inventory is told with its place`() async throws {
        for (text, words) in [
            (
                "[groups.web]\nhost = ['a']",
                "groups.web.host: there is nothing called \"host\" here; did you mean \"hosts\"?"
            ),
            ("[groups.web\n", "line 1: "), ("[groups.web]\nhosts = 'a'", "groups.web.hosts: "),
            ("[groups.a]\ngroups = ['b']\n[groups.b]\ngroups = ['a']", "a group cannot contain itself"),
            ("[hosts.a]\nspec = 'ssh:{port}'", "there is no variable {port}"),
            ("[groups.web]\nhosts = 3", "groups.web.hosts: this should be a list"),
            ("hosts = 3", "hosts: this should be a table"),
            (
                "[variables]\n" + String(repeating: "a.", count: 50_000) + "a = 1",
                "line 2: keys and values are more than 100 deep in each other"
            ),
        ] {
            try await withInventory(text) { file async throws in
                let result = try await MartletProgram.run(["hosts", "--inventory", file])
                #expect(result.exitCode == 64 && result.errors.contains("\(file): "), "\(result.errors)")
                #expect(result.errors.contains(words) && !result.errors.contains("Usage: "), "\(result.errors)")
            }
        }
        try await withInventory { file async throws in
            let result = try await MartletProgram.run(["run", "--inventory", file, "-H", "@wbe", "--", "true"])
            #expect(result.exitCode == 64 && result.errors.contains("did you mean \"@web\"?"), "\(result.errors)")
        }
        try await withInventory("[groups.web]\nhosts = ['!web1']") { file async throws in
            let result = try await MartletProgram.run(
                ["hosts", "--inventory", file], environment: ["HOME": "/nowhere"])
            #expect(result.exitCode == 0 && result.errors.hasPrefix("the inventory \(file) has no host, and "))
        }
        let none = try await MartletProgram.run(["run", "--inventory", "/nowhere", "-H", "@web", "--", "true"])
        #expect(none.exitCode == 64 && none.errors.contains("cannot read /nowhere"), "\(none.errors)")
    }
}
