import Foundation
import MartletTestKit
import Testing

@testable import Martlet
@testable import MartletCommand

/// `martlet put`, `get` and `sync`.
@Suite(.leakChecked) struct TransferTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-transfer-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(atPath: "\(folder)/tree/sub", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, text) in [("tree/a", "aa"), ("tree/sub/b.o", "b"), ("tree/sub/c", "c")] {
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        try await body(folder)
    }

    private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    @Test func `Files go to every host and come back into a place for each`() async throws {
        try await withFolder { folder async throws in
            let put = try await MartletProgram.run([
                "put", "-H", "local", "--mode", "0640", "--parents", "\(folder)/tree/a", "\(folder)/tree/sub",
                "\(folder)/new/far",
            ])
            #expect(put.exitCode == 0, "\(put.errors)")
            #expect(put.output.hasPrefix("local: 3 files, 4 B to \(folder)/new/far/ ("), "\(put.output)")
            #expect(text("\(folder)/new/far/a") == "aa" && text("\(folder)/new/far/sub/c") == "c")
            let mode =
                try FileManager.default.attributesOfItem(atPath: "\(folder)/new/far/a")[.posixPermissions] as? Int
            #expect(mode == 0o640)
            let get = try await MartletProgram.run([
                "get", "-H", "local,local/local", "-q", "\(folder)/tree/a", "\(folder)/back/{host}/",
            ])
            #expect(get.exitCode == 0 && get.output == "" && get.errors == "", "\(get.errors)")
            #expect(text("\(folder)/back/local/a") == "aa" && text("\(folder)/back/local_local/a") == "aa")
            let twice = try await MartletProgram.run(["get", "-H", "local,local", "\(folder)/tree/a", "\(folder)/x"])
            #expect(
                twice.exitCode == 64
                    && twice.errors.contains("2 hosts would write to \(folder)/x; put {host} into the path"))
            let never = try await MartletProgram.run([
                "get", "-H", "local", "--overwrite", "never", "--json", "\(folder)/tree/a", "\(folder)/back/local/a",
            ])
            #expect(never.exitCode == 1)
            let result = try #require(try jsonLines(never.output).first)
            #expect(
                (result["error"] as? [String: Any])?["code"] as? String == "fileExists"
                    && result["ok"] as? Bool == false)
        }
    }

    @Test func `A folder is made the same, which a dry run lists before`() async throws {
        try await withFolder { folder async throws in
            try FileManager.default.createDirectory(atPath: "\(folder)/far", withIntermediateDirectories: true)
            try "x".write(toFile: "\(folder)/far/extra", atomically: true, encoding: .utf8)
            let command = ["sync", "-H", "local", "--delete", "--exclude", "*.o", "\(folder)/tree", "\(folder)/far"]
            let dry = try await MartletProgram.run(command + ["-n"])
            #expect(dry.exitCode == 0, "\(dry.errors)")
            for line in ["created  a", "created  sub/", "created  sub/c", "deleted  extra"] {
                #expect(dry.outputLines.contains("local: \(line)"), "\(dry.output)")
            }
            #expect(dry.output.hasSuffix("; nothing was done\n") && !dry.output.contains("b.o"))
            #expect(text("\(folder)/far/extra") == "x" && text("\(folder)/far/a") == nil)
            let done = try await MartletProgram.run(command + ["--json", "-v"])
            let events = try jsonLines(done.output)
            let changes = events.filter { $0["event"] as? String == "change" }
            #expect(Set(changes.compactMap { $0["path"] as? String }).isSuperset(of: ["a", "sub", "sub/c", "extra"]))
            #expect(events.first { $0["event"] as? String == "result" }?["files"] as? Int == 2)
            #expect(text("\(folder)/far/extra") == nil && text("\(folder)/far/a") == "aa")
            let again = try await MartletProgram.run(command)
            #expect(again.output.hasPrefix("local: nothing to do ("), "\(again.output)")
        }
    }

    @Test func `Errors say what to try, and the rest is copied`() async throws {
        try await withFolder { folder async throws in
            let missing = try await MartletProgram.run(["put", "-H", "local", "\(folder)/none", "/tmp/"])
            #expect(
                missing.exitCode == 1 && missing.errors.contains("read \(folder)/none here: No such file or directory"))
            let parent = try await MartletProgram.run(["put", "-H", "local", "\(folder)/tree/a", "\(folder)/none/x"])
            let advice = "try: make the folder \(folder)/none first, or have it made: --parents\n"
            #expect(parent.exitCode == 1 && parent.errors.contains(advice), "\(parent.errors)")
            let get = try await MartletProgram.run(["get", "-H", "local", "\(folder)/tree/a", "\(folder)/none/x"])
            #expect(get.exitCode == 1 && get.errors.contains(advice), "\(get.errors)")
            #expect(mkfifo("\(folder)/tree/pipe", 0o600) == 0)
            let tree = try await MartletProgram.run(["put", "-H", "local", "\(folder)/tree", "\(folder)/far"])
            #expect(
                tree.exitCode == 1 && tree.errors.contains("pipe: it is neither a regular file, a folder nor a link"))
            #expect(text("\(folder)/far/a") == "aa")
            let sync = try await MartletProgram.run(["sync", "-H", "local", "\(folder)/tree", "\(folder)/other"])
            #expect(
                sync.exitCode == 1 && sync.errors.contains("local: not copied: pipe: it is neither"), "\(sync.errors)")
            #expect(text("\(folder)/other/a") == "aa")
            for wrong in [
                ["put", "-H", "local", "x"], ["put", "-H", "local", "--mode", "9", "a", "b"],
                ["sync", "-H", "local", "a"],
                ["put", "-H", "local", "--owner", "a:b:c", "a", "b"],
            ] {
                #expect(try await MartletProgram.run(wrong).exitCode == 64, "\(wrong)")
            }
        }
    }

    @Test func `Two of one name do not go into one folder, but what is in two folders does`() async throws {
        try await withFolder { folder async throws in
            for command in ["put", "get"] {
                let twins = try await MartletProgram.run([
                    command, "-H", "local", "--parents", "\(folder)/tree/a", "\(folder)/tree/sub/c",
                    "\(folder)/other/a",
                    "\(folder)/far/",
                ])
                #expect(twins.exitCode == 64 && text("\(folder)/far/a") == nil, "\(twins.errors)")
                #expect(
                    twins.errors.contains(
                        "\(folder)/other/a would overwrite \(folder)/tree/a: both would be \"a\" in one folder"),
                    "\(twins.errors)")
                let contents = try await MartletProgram.run([
                    command, "-H", "local", "--parents", "\(folder)/tree/sub/", "\(folder)/./tree/sub/.",
                    "\(folder)/far/",
                ])
                #expect(contents.exitCode == 0 && text("\(folder)/far/c") == "c", "\(contents.errors)")
                try FileManager.default.removeItem(atPath: "\(folder)/far")
            }
        }
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/script"), "needs util-linux's script"))
    func `A terminal shows a bar, and nothing of it stays`() async throws {
        try await withFolder { folder async throws in
            #expect(truncate("\(folder)/tree/a", 1 << 30) == 0)
            let put = try await MartletProgram.shell(
                #"script -qec '"$martlet" put --color never -H local \#(folder)/tree/a \#(folder)/far' /dev/null"#)
            #expect(put.output.contains("1.1 GB") && put.output.contains("local  [#"), "\(put.output)")
            #expect(put.output.components(separatedBy: "\u{1b}[K").last?.contains("[#") == false)
        }
    }

    @Test(.enabled(if: MartletProgram.hasServer, "needs OpenSSH's server"))
    func `Over ssh too`() async throws {
        try await withFolder { folder async throws in
            try await withThrowawaySSHD { sshd async throws in
                let way = ["-F", sshd.configPath, "-H", sshd.hostAlias]
                let put = try await MartletProgram.run(["put"] + way + ["\(folder)/tree", "\(folder)/far"])
                #expect(put.exitCode == 0 && text("\(folder)/far/sub/c") == "c", "\(put.errors)")
                let get = try await MartletProgram.run(["get"] + way + ["\(folder)/far/", "\(folder)/{host}"])
                #expect(get.exitCode == 0 && text("\(folder)/\(sshd.hostAlias)/sub/b.o") == "b", "\(get.errors)")
                let bad = try await MartletProgram.run([
                    "sync", "-F", sshd.configPath, "-H", "\(sshd.hostAlias),\(sshd.hostAlias(.closedPort))",
                    "\(folder)/tree", "\(folder)/far",
                ])
                #expect(
                    bad.exitCode == 3 && bad.errors.contains("2 hosts: 1 succeeded, 1 not reached in "), "\(bad.errors)"
                )
            }
        }
    }

    @Test(
        .enabled("needs root, namespaces and openssh-server") {
            await ThrowawayMachine.obstacle() == nil && MartletProgram.hasServer
        })
    func `With --via the way to the bastion carries it once, and a host that is not reached stops no other`()
        async throws
    {
        try await withFolder { folder async throws in
            try await withTestNetwork(hiddenHosts: 3) { network async throws in
                var generator = SystemRandomNumberGenerator()
                let size = 8 << 20
                let noise = Data(
                    (0..<size / 8).flatMap { _ in
                        withUnsafeBytes(of: generator.next() as UInt64) { Array($0) }
                    })
                try noise.write(to: URL(fileURLWithPath: "\(folder)/tree/large"))
                let names = network.hidden.map(\.alias) + ["\(network.hidden[0].alias):1"]
                let hosts = names.map { "ssh:\($0)?config=\(network.innerConfigPath)" }.joined(separator: ",")
                let way = ["-F", network.configPath, "--via", "ssh:\(network.bastion.alias)", "-H", hosts]
                // The agent is there then.
                let ping = try await MartletProgram.run(["ping"] + way)
                #expect(ping.exitCode == 3, "\(ping.output) \(ping.errors)")
                let before = try network.bytesSent(to: network.bastion)
                let sync = try await MartletProgram.run(["sync"] + way + ["\(folder)/tree", "/root/copy"])
                let sent = try network.bytesSent(to: network.bastion) - before
                #expect(
                    sync.exitCode == 3 && sync.errors.contains("4 hosts: 3 succeeded, 1 not reached in "),
                    "\(sync.errors)")
                #expect(sync.outputLines.count == 3, "\(sync.output)")
                #expect(sent > size && sent < size * 3 / 2, "\(sent) bytes for \(size)")
                func expectCopies(in place: String) async throws {
                    let here = ["sh", "-c", "cat \(folder)/tree/large | cksum; printf aa"]
                    let there = ["sh", "-c", "cat \(place)/large | cksum; cat \(place)/a"]
                    for host in network.hidden {
                        let copy = try await runProgram(host.machine.commandPrefix + there)
                        #expect(try await copy.output == runProgram(here).output)
                    }
                }
                try await expectCopies(in: "/root/copy")
                let beforePut = try network.bytesSent(to: network.bastion)
                let put = try await MartletProgram.run(
                    ["put"] + way + ["\(folder)/tree/large", "\(folder)/tree/a", "/root/"])
                let sentByPut = try network.bytesSent(to: network.bastion) - beforePut
                #expect(put.exitCode == 3 && put.outputLines.count == 3, "\(put.output)\(put.errors)")
                #expect(sentByPut > size && sentByPut < size * 3 / 2, "\(sentByPut) bytes for \(size)")
                try await expectCopies(in: "/root")
                // By twos it goes on, too.
                let again = try await MartletProgram.run(
                    ["sync", "--fanout", "2"] + way + ["\(folder)/tree", "/root/copy"])
                #expect(again.outputLines.count { $0.contains("nothing to do") } == 3, "\(again.output)\(again.errors)")
                for host in [network.bastion] + network.hidden {
                    await eventually { host.machine.programs().allSatisfy { $0.name.hasPrefix("sshd") } }
                }
            }
        }
    }

    @Test func `The bar says how far, how fast and which file`() {
        func line(_ all: [TransferProgress], _ hosts: Int = 1) -> String {
            TransferBar.line(all, hosts == 1 ? ["web1"] : ["a", "b"], 1, hosts, .seconds(2))
        }
        var progress = TransferProgress()
        #expect(line([]) == "web1  connecting")
        (progress.byteCount, progress.totalBytes, progress.totalFiles, progress.fileCount) = (
            50_000_000, 100_000_000, 9, 4
        )
        progress.path = Array("sub/x\u{1b}".utf8)
        #expect(
            line([progress])
                == "web1  [##########----------]  50%  50.00 MB of 100.00 MB  25.00 MB/s  4/9 files  sub/x^[")
        #expect(
            line([progress, progress], 3).hasPrefix("1/3 hosts  [##########----------]  50%  100.00 MB of 200.00 MB"))
        progress.totalBytes = nil
        #expect(line([progress]).hasPrefix("web1  50.00 MB  25.00 MB/s"))
    }
}
