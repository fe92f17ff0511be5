import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// What a connect gets that cannot succeed: a typed error within its deadline, and nothing left behind.
@Suite(.leakChecked, .enabled(if: hasSSHServer, "needs openssh-server")) struct BadWayInTests {
    /// The error of a connect, which must come within the deadline.
    @discardableResult
    private func failure(
        _ code: MartletError.Code,
        _ phase: ConnectPhase,
        _ connector: some Connector,
        deadline: Duration = .seconds(20),
        policy: ImagePolicy = .disk,
        images: ImageSet = .ownExecutable,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> MartletError {
        var options = OutputLog().options
        options.images = images
        return try await withMartlet(options) { martlet in
            var options = ConnectOptions()
            options.deadline = deadline
            options.policy = policy
            let start = ContinuousClock.now
            let error = try await expectError(code, sourceLocation: sourceLocation) { [options] in
                try await martlet.connect(connector, options: options)
            }
            #expect(ContinuousClock.now - start < deadline + .seconds(2), sourceLocation: sourceLocation)
            #expect(error.phase == phase, "\(error)", sourceLocation: sourceLocation)
            #expect(error.route.steps == [connector.label], sourceLocation: sourceLocation)
            return error
        }
    }

    @Test func `An unknown host`() async throws {
        let error = try await failure(.unreachable, .reach, .ssh("no-such-host.invalid", configuration: "/dev/null"))
        #expect(error.message.contains("no-such-host.invalid"))
        #expect(error.detail?.contains("Could not resolve hostname") == true)
        #expect(error.advice != nil)
    }

    @Test(arguments: ["", "-oProxyCommand=touch /tmp/x", "a b", "two\nlines"])
    func `What is not the name of a host is refused before ssh is started`(name: String) async throws {
        try await withMartlet { martlet in
            let error = try await expectError(.unreachable) { try await martlet.connect(.ssh(name)) }
            #expect(error.phase == .reach)
        }
    }

    @Test(arguments: [
        (ThrowawaySSHD.Variant.closedPort, MartletError.Code.unreachable, ConnectPhase.reach, "Connection refused"),
        (.refusedKey, .authenticationFailed, .authenticate, "Permission denied"),
        (.unknownHostKey, .hostKeyRejected, .authenticate, "Host key verification failed"),
        (.changedHostKey, .hostKeyRejected, .authenticate, "REMOTE HOST IDENTIFICATION HAS CHANGED"),
    ])
    func `A refused port, a refused key, an unknown and a changed host key`(
        variant: ThrowawaySSHD.Variant, code: MartletError.Code, phase: ConnectPhase, words: String
    ) async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            let error = try await failure(code, phase, sshd.connector(variant))
            #expect(error.detail?.contains(words) == true)
            #expect(error.advice != nil)
            #expect(error.detail?.contains("debug1") != true)
        }
    }

    @Test func `A key with a passphrase is not asked for`() async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.passphrase = "secret"
        try await withThrowawaySSHD(configuration) { sshd in
            _ = try await failure(.authenticationFailed, .authenticate, sshd.connector(.lockedKey))
        }
    }

    @Test func `An ssh program that is not there`() async throws {
        let connector = SSHConnector("host", program: "no-such-ssh")
        try await withMartlet { martlet in
            let error = try await expectError(.connectorFailed) { try await martlet.connect(connector) }
            #expect(error.message.contains("no-such-ssh"))
            #expect(error.advice?.contains("install") == true)
        }
    }

    @Test(
        .enabled(if: getuid() == 0, "only root can give another login shell"),
        arguments: ["/bin/false", "/usr/sbin/nologin", "/no/such/shell"]
    )
    func `A user without a shell`(shell: String) async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.loginShell = shell
        try await withThrowawaySSHD(configuration) { sshd in
            if shell == "/no/such/shell" {
                // sshd does not let such a user in.
                try await failure(.authenticationFailed, .authenticate, sshd.connector(.pipe))
            } else {
                let error = try await failure(.noShell, .boot, sshd.connector(.pipe))
                #expect(error.message.contains("exited with code 1"))
                if shell.hasSuffix("nologin") { #expect(error.detail?.contains("not available") == true) }
            }
        }
    }

    @Test func `A machine of another kind`() async throws {
        try await TestFolder.with { folder in
            let fake = folder.file("uname")
            try "#!/bin/sh\necho Linux riscv64\n".write(toFile: fake, atomically: true, encoding: .utf8)
            chmod(fake, 0o755)
            var configuration = ThrowawaySSHD.Configuration()
            configuration.environment["PATH"] = "\(folder.path):/usr/bin:/bin"
            try await withThrowawaySSHD(configuration) { sshd in
                let error = try await failure(.wrongPlatform, .boot, sshd.connector(.pipe))
                #expect(error.message.contains("Linux riscv64"))
                #expect(error.advice?.contains("riscv64") == true)
            }
        }
    }

    @Test func `An image that dies at the start`() async throws {
        try await withThrowawaySSHD { sshd in
            let error = try await failure(
                .imageDied, .boot, sshd.connector(.pipe), images: .executables(["/bin/false"]))
            #expect(error.message.contains("before it said hello"))
            #expect(error.message.contains("code 1"))
        }
    }

    @Test(arguments: ["#!/nowhere/at/all\n", "echo nonsense; exit 3\n", ""])
    func `A cached image that is garbage is sent again`(content: String) async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet { martlet in try await martlet.connect(sshd.connector(.pipe)).call(Nothing()) }
            try content.write(to: try cachedImage(sshd), atomically: false, encoding: .utf8)
            try await withMartlet(OutputLog().options) { martlet in
                let phases = Phases()
                let healed = try await martlet.connect(sshd.connector(.pipe)) { phases.add($0, $1) }
                #expect(!healed.timings.wasCached)
                // The try that failed is not told, but for its time.
                #expect(phases.names == [.queue, .reach, .authenticate, .boot, .handshake])
                #expect(Set(healed.timings.phases.keys) == Set(phases.names))
                #expect(try await healed.call(Add(a: 1, b: 2)) == 3)
                #expect(try await martlet.connect(sshd.connector(.pipe)).timings.wasCached)
            }
        }
    }

    @Test func `A cached image that never says hello is told from a slow login`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                try await martlet.connect(sshd.connector(.pipe)).call(Nothing())
            }
            try "#!/bin/sh\nread x\n".write(to: try cachedImage(sshd), atomically: false, encoding: .utf8)
            let error = try await failure(.connectTimedOut, .boot, sshd.connector(.pipe), deadline: .seconds(3))
            #expect(error.message.contains("far cache"))
            #expect(error.advice?.contains("martlet clean") == true)
        }
    }

    @Test func `An ssh that is killed while the image is on its way`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet { martlet in
                let connect = Task { try await martlet.connect(sshd.connector()) }
                let cache = "\(sshd.home)/.cache/martlet"
                let list = { (try? FileManager.default.contentsOfDirectory(atPath: cache)) ?? [] }
                // The far side stands still, so that the upload cannot come to its end.
                let stopped = Task {
                    while !Task.isCancelled {
                        let heads = sshd.programs().filter { ["head", "cat"].contains($0.name) }
                        for head in heads { head.send(signal: SIGSTOP) }
                        if !heads.isEmpty { return Array(heads) }
                        await Task.yield()
                    }
                    return []
                }
                let heads = await stopped.value
                #expect(list().contains { $0.hasPrefix(".martlet-") })
                let clients = ssh(to: sshd)
                #expect(clients.count == 1)
                for client in clients { client.send(signal: SIGKILL) }
                let error = try await expectError(.connectorFailed) { try await connect.value }
                #expect(error.phase == .boot)
                #expect(error.message.contains("signal KILL while the image was on its way"), "\(error)")
                for head in heads { head.send(signal: SIGCONT) }
                await eventually("the end of the far shell") { sshd.programs().isEmpty }
                #expect(list() == [])
                #expect(try await martlet.connect(sshd.connector()).call(Add(a: 1, b: 1)) == 2)
            }
        }
    }

    @Test func `A forced command that reads nothing`() async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.serverLines = ["ForceCommand exec sleep 1000"]
        // Without a terminal sshd only closes the pipes of a command: one that neither reads nor writes goes on.
        configuration.programsMayOutlive = nil
        try await withThrowawaySSHD(configuration) { sshd in
            let error = try await failure(.connectTimedOut, .boot, sshd.connector(), deadline: .seconds(2))
            #expect(error.advice?.contains("forced command") == true)
            await eventually("the end of our ssh") { ssh(to: sshd).isEmpty }
            #expect(sshd.programs().allSatisfy { $0.name == "sleep" }, "\(sshd.programs())")
        }
    }

    @Test func `An image that cannot be read`() async throws {
        for paths in [["/no/such/image"], ["/etc/passwd"], ["/tmp"], []] {
            var options = OutputLog().options
            options.images = .executables(paths)
            try await withMartlet(options) { martlet in
                let error = try await expectError(.imageUnusable) {
                    try await martlet.connect(.command(["sh", "-c"]))
                }
                for path in paths { #expect(error.message.contains(path)) }
            }
        }
    }

    @Test func `A connection that breaks while the image is on its way`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet { martlet in
                let connect = Task { try await martlet.connect(sshd.connector()) }
                let cache = "\(sshd.home)/.cache/martlet"
                let list = { (try? FileManager.default.contentsOfDirectory(atPath: cache)) ?? [] }
                await eventually { list().contains { $0.hasPrefix(".martlet-") } }
                sshd.dropConnections()
                let error = try await expectError(.connectorFailed) { try await connect.value }
                #expect(error.phase == .boot)
                #expect(error.message.contains("broke"))
                await eventually("the end of the far shell") { sshd.programs().isEmpty }
                #expect(list() == [])
                // The next connect begins anew.
                #expect(try await martlet.connect(sshd.connector()).call(Add(a: 1, b: 1)) == 2)
            }
        }
    }

    @Test func `An image that arrives cut short is not run`() async throws {
        try await TestFolder.with { folder in
            let connector = CommandConnector(command: [
                "env", "HOME=\(folder.path)", "XDG_CACHE_HOME=\(folder.path)", "sh", "-c",
                "dd bs=65536 count=300000 iflag=count_bytes status=none | sh -c \"$0\"",
            ])
            try await withMartlet { martlet in
                let error = try await #require(throws: MartletError.self) { try await martlet.connect(connector) }
                #expect(error.phase == .boot, "\(error)")
                #expect([.imageUnusable, .noPlace, .imageDied].contains(error.code), "\(error)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("martlet")) == [])
        }
    }

    @Test(arguments: [
        "cat /dev/urandom", "yes", "yes MARTLET-0 failed", "cat >/dev/null", "while :; do echo \\$; done",
    ])
    func `Garbage for ever, or silence`(command: String) async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.serverLines = ["ForceCommand \(command)"]
        try await withThrowawaySSHD(configuration) { sshd in
            let error = try await failure(.connectTimedOut, .boot, sshd.connector(.pipe), deadline: .seconds(2))
            #expect(error.advice != nil)
            #expect((error.detail?.utf8.count ?? 0) < 100_000)
        }
    }

    @Test(arguments: ["echo hello", "echo oops >&2; exit 9", "head -c 100000 /dev/urandom"])
    func `A forced command that ends`(command: String) async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.serverLines = ["ForceCommand \(command)"]
        try await withThrowawaySSHD(configuration) { sshd in
            let error = try await failure(.noShell, .boot, sshd.connector(.pipe))
            if command.contains("hello") { #expect(error.detail?.contains("hello") == true) }
            if command.contains("oops") {
                #expect(error.detail?.contains("oops") == true)
                #expect(error.message.contains("9"))
            }
            let controls = error.description.unicodeScalars.filter { $0.value < 0x20 && $0 != "\n" && $0 != "\t" }
            #expect(controls.isEmpty)
        }
    }

    @Test func `A port behind which nobody speaks`() async throws {
        try await withSilentPort { port in
            let connector = SSHConnector.ssh("127.0.0.1", port: port, configuration: "/dev/null")
            try await failure(.connectTimedOut, .authenticate, connector, deadline: .seconds(2))
        }
    }

    @Test func `A cached image of another build`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet { martlet in try await martlet.connect(sshd.connector(.pipe)).call(Nothing()) }
            let image = try cachedImage(sshd)
            let build = try #require(ImageStore(.ownExecutable(id: nil)).ownBuild.bytesFromHexadecimal)
            var bytes = try Data(contentsOf: image)
            let range = try #require(bytes.range(of: Data(build)))
            bytes.replaceSubrange(range, with: build.map { $0 ^ 0xff })
            try bytes.write(to: image)
            chmod(image.path, 0o700)
            let error = try await failure(.handshakeFailed, .handshake, sshd.connector(.pipe))
            #expect(error.message.contains("build"))
            #expect(error.advice?.contains("martlet clean") == true)
        }
    }

    /// The ssh clients of ours.
    private func ssh(to sshd: ThrowawaySSHD) -> [ProcessTable.Entry] {
        ProcessTable.descendants().filter {
            $0.parent == getpid() && !$0.isZombie && $0.commandLine.contains(sshd.configPath)
        }
    }

    private func cachedImage(_ sshd: ThrowawaySSHD) throws -> URL {
        let cache = URL(fileURLWithPath: "\(sshd.home)/.cache/martlet")
        let entries = try FileManager.default.contentsOfDirectory(atPath: cache.path)
        let folder = try #require(entries.first { !$0.hasPrefix("lib-") })
        return cache.appending(path: folder).appending(path: "image")
    }

    @Test func `Hosts that fail leave those that succeed alone`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                var options = ConnectOptions()
                options.deadline = .seconds(15)
                let ways: [(SSHConnector, Bool)] = [
                    (sshd.connector(), true), (.ssh("no-such-host.invalid", configuration: "/dev/null"), false),
                    (sshd.connector(.refusedKey), false), (sshd.connector(.pipe), true),
                    (sshd.connector(.changedHostKey), false), (sshd.connector(.closedPort), false),
                    (sshd.connector(), true),
                ]
                let results = await withTaskGroup(of: (Int, Bool).self) { [options] group in
                    for (index, way) in ways.enumerated() {
                        group.addTask {
                            let context = try? await martlet.connect(way.0, options: options)
                            return (index, (try? await context?.call(Add(a: 1, b: 1))) == 2)
                        }
                    }
                    return await group.reduce(into: [Int: Bool]()) { $0[$1.0] = $1.1 }
                }
                #expect(ways.indices.map { results[$0] } == ways.map { $0.1 })
            }
        }
    }

    @Test func `A failure behind the first hop tells the whole route`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withLocalContext { _, context in
                let error = try await expectError(.authenticationFailed) {
                    try await context.connect(sshd.connector(.refusedKey))
                }
                #expect(error.route.steps == ["local", "ssh:\(sshd.hostAlias(.refusedKey))"])
                #expect(error.phase == .authenticate)
                #expect(error.detail?.contains("Permission denied") == true)
            }
        }
    }
}

extension String {
    fileprivate var bytesFromHexadecimal: [UInt8]? {
        let digits = Array(utf8)
        guard digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
        }
    }
}

/// Lends a port that takes connections and never says a word.
private func withSilentPort(_ body: (UInt16) async throws -> Void) async throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> Int32 in
            bind(listener, pointer, length) == 0 && listen(listener, 8) == 0
                ? getsockname(listener, pointer, &length) : -1
        }
    }
    #expect(port == 0)
    try await body(UInt16(bigEndian: address.sin_port))
}
