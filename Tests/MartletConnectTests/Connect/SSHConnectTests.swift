import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked, .enabled(if: hasSSHServer, "needs openssh-server")) struct SSHConnectTests {
    @Test func `The first connect sends the image, the next finds it`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet { martlet in
                let phases = Phases()
                let cold = try await martlet.connect(sshd.connector()) { phases.add($0, $1) }
                #expect(!cold.timings.wasCached)
                #expect(cold.timings.bytesSent > 100_000)
                #expect(try await cold.call(Add(a: 1, b: 2)) == 3)
                #expect(phases.names == [.queue, .reach, .authenticate, .boot, .handshake])
                let warm = try await martlet.connect(sshd.connector())
                #expect(warm.timings.wasCached)
                #expect(warm.timings.bytesSent == 0)
                #expect(try await warm.call(Add(a: 3, b: 2)) == 5)
                #expect(warm.timings.total > .zero)
                // Private: nobody else may exchange what we run.
                let cache = try FileManager.default.attributesOfItem(atPath: "\(sshd.home)/.cache/martlet")
                #expect(cache[.posixPermissions] as? Int == 0o700)
            }
        }
    }

    @Test(arguments: [ImagePolicy.memory, .nothing])
    func `Without a cache nothing stays at the far side`(policy: ImagePolicy) async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet { martlet in
                var options = ConnectOptions()
                options.policy = policy
                let context = try await martlet.connect(sshd.connector(.pipe), options: options)
                #expect(try await context.call(Add(a: 1, b: 2)) == 3)
                // Its own children are started from what it runs from, though that has no name any more.
                let below = try await context.connect(.local)
                #expect(try await below.call(Add(a: 1, b: 2)) == 3)
            }
            let files = FileManager.default.enumerator(atPath: sshd.home)?.allObjects as? [String] ?? []
            #expect(files.filter { $0.contains("martlet") }.isEmpty)
        }
    }

    @Test(
        .enabled(if: getuid() == 0, "only root can give another login shell"),
        arguments: ["bash", "dash", "zsh", "fish", "tcsh", "ksh", "mksh", "yash", "busybox"].filter {
            FileManager.default.isExecutableFile(atPath: "/bin/\($0)")
        }
    )
    func `Any login shell leads to a context`(shell: String) async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        if shell == "busybox" {
            try await TestFolder.with { folder in
                // Busybox is the shell that it is called.
                try FileManager.default.createSymbolicLink(
                    atPath: folder.file("ash"), withDestinationPath: "/bin/busybox")
                try await connects(configuration, folder.file("ash"))
            }
        } else {
            configuration.homeFiles = [".profile": "echo PROFILE", ".zshenv": "echo ZSHENV", ".tcshrc": "echo TCSHRC"]
            try await connects(configuration, "/bin/\(shell)")
        }
    }

    private func connects(_ configuration: ThrowawaySSHD.Configuration, _ shell: String) async throws {
        var configuration = configuration
        configuration.loginShell = shell
        try await withThrowawaySSHD(configuration) { sshd in
            try await withMartlet { martlet in
                let context = try await martlet.connect(sshd.connector(.pipe))
                #expect(try await context.call(Add(a: 1, b: 2)) == 3)
                #expect(try await context.run("pwd").lines == [sshd.home])
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "only root can give another login shell"))
    func `A banner and a chatty login disturb nobody`() async throws {
        try await TestFolder.with { folder in
            try "Authorised users only.\nMARTLET\n".write(
                toFile: folder.file("banner"), atomically: true, encoding: .utf8)
            var configuration = ThrowawaySSHD.Configuration.warm
            configuration.loginShell = "/bin/bash"
            configuration.environment["SHLVL"] = nil
            configuration.homeFiles = [
                ".bashrc":
                    "echo WELCOME; printf '\\0MARTLET\\0half a marker'; echo MARTLET-0 miss; echo warned >&2; printf tail"
            ]
            configuration.serverLines = ["Banner \(folder.file("banner"))"]
            try await withThrowawaySSHD(configuration) { sshd in
                try await withMartlet(OutputLog().options) { martlet in
                    for policy in [ImagePolicy.disk, .memory] {
                        var options = ConnectOptions()
                        options.policy = policy
                        let context = try await martlet.connect(sshd.connector(.pipe), options: options)
                        #expect(try await context.call(Echo(value: "through")) == "through")
                    }
                }
            }
        }
    }

    @Test func `Keys, certificates and agents let us in`() async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.makesCertificates = true
        try await withThrowawaySSHD(configuration) { sshd in
            try await sshd.withAgent { _ in
                try await withMartlet { martlet in
                    for variant in [ThrowawaySSHD.Variant.userCertificate, .hostCertificate, .agent] {
                        let context = try await martlet.connect(sshd.connector(variant))
                        #expect(try await context.call(Add(a: 1, b: 2)) == 3, "\(variant)")
                    }
                }
            }
        }
    }

    @Test func `Host, user, port and key may be named instead of configured`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet { martlet in
                let way = SSHConnector.ssh(
                    "127.0.0.1",
                    user: NSUserName(),
                    port: UInt16(sshd.port),
                    identity: sshd.userKeyPath,
                    configuration: "/dev/null",
                    options: [
                        "HostKeyAlias=\(sshd.hostAlias)", "UserKnownHostsFile=\(sshd.directory)/known_hosts",
                        "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none",
                    ]
                )
                #expect(way.label == "ssh:\(NSUserName())@127.0.0.1:\(sshd.port)")
                let context = try await martlet.connect(way)
                #expect(context.route.description == "controller → \(way.label)")
                #expect(try await context.call(Add(a: 1, b: 2)) == 3)
            }
        }
    }

    @Test func `A jump host leads on`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet { martlet async throws in
                let way = sshd.connector(options: ["ProxyJump=\(sshd.hostAlias)"])
                #expect(try await martlet.connect(way).call(Add(a: 1, b: 2)) == 3)
            }
        }
    }

    @Test func `ssh through ssh, and local below, send nothing over the controller's link`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet { martlet in
                let first = try await martlet.connect(sshd.connector(.pipe))
                // No cache down there: the image goes again, but from the middle.
                var options = ConnectOptions()
                options.policy = .nothing
                let second = try await first.connect(sshd.connector(.pipe), options: options)
                #expect(!second.timings.wasCached)
                #expect(second.timings.bytesSent > 100_000)
                #expect(second.route.steps.count == 2)
                #expect(try await second.call(Add(a: 1, b: 2)) == 3)
                let before = first.linkTraffic
                for _ in 0..<10 { #expect(try await second.connect(.local).call(Add(a: 1, b: 2)) == 3) }
                let sent = first.linkTraffic.sent - before.sent
                #expect(sent < 40_000, "10 grandchildren took \(sent) bytes")
            }
        }
    }

    @Test func `Twenty connects at once get past an sshd that turns the eleventh away`() async throws {
        var configuration = ThrowawaySSHD.Configuration.warm
        configuration.maxStartups = "10:30:100"
        try await withThrowawaySSHD(configuration) { sshd in
            try await withMartlet { martlet in
                _ = try await martlet.connect(sshd.connector(.pipe))
                try await withThrowingTaskGroup(of: Int.self) { group async throws in
                    for number in 0..<20 {
                        group.addTask {
                            try await martlet.connect(sshd.connector()).call(Add(a: number, b: 0))
                        }
                    }
                    #expect(try await group.reduce(0, +) == 190)
                }
            }
        }
    }

    @Test func `What the agent knows of its machine comes with it`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet { martlet in
                let facts = try await martlet.connect(sshd.connector(.pipe)).facts
                let uname = try await runProgram(["uname", "-srmn"]).output.split(whereSeparator: \.isWhitespace)
                #expect([facts.system, facts.hostname, facts.release, facts.architecture] == uname.map(String.init))
                #expect(facts.user == NSUserName())
                #expect(facts.userID == getuid())
                #expect(facts.processors == ProcessInfo.processInfo.processorCount)
                #expect(facts.memory == ProcessInfo.processInfo.physicalMemory)
            }
        }
    }

    @Test func `The connection ends with the context, and the far side is empty`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet { martlet in
                let context = try await martlet.connect(sshd.connector())
                let run = Task { try await context.run("sleep 600") }
                await eventually { sshd.programs().contains { $0.name == "sleep" } }
                await context.close()
                #expect(sshd.programs().isEmpty)
                await #expect(throws: (any Error).self) { try await run.value }
            }
        }
    }
}
