import Foundation
import MartletTestKit
import Testing

private let hasServer = FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd")

@Suite(.leakChecked, .enabled(if: hasServer, "needs openssh-server")) struct ThrowawaySSHDTests {
    @Test func `a command runs in a fresh home, with and without a listener`() async throws {
        try await withThrowawaySSHD { sshd in
            for variant in [nil, ThrowawaySSHD.Variant.pipe] {
                let result = try await sshd.run("echo $HOME $SHLVL; cat", by: variant, input: "fed")
                #expect(result.output.hasPrefix(sshd.home))
                #expect(result.output.hasSuffix("\nfed"))
                #expect(result.exitCode == 0, "\(result.errors)")
            }
        }
    }

    @Test(arguments: [
        (ThrowawaySSHD.Variant.unknownHostKey, "Host key verification failed"),
        (.changedHostKey, "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        (.refusedKey, "Permission denied"),
        (.closedPort, "Connection refused"),
    ])
    func `a bad way in fails as it would elsewhere`(variant: ThrowawaySSHD.Variant, message: String) async throws {
        try await withThrowawaySSHD { sshd in
            let result = try await sshd.run("true", by: variant)
            #expect(result.exitCode == 255)
            #expect(result.errors.contains(message))
        }
    }

    @Test func `certificates, agent and passphrase keys let the user in`() async throws {
        var configuration = ThrowawaySSHD.Configuration()
        configuration.makesCertificates = true
        configuration.passphrase = "pass phrase"
        try await withThrowawaySSHD(configuration) { sshd in
            for variant in [ThrowawaySSHD.Variant.hostCertificate, .userCertificate] {
                let result = try await sshd.run("echo in", by: variant)
                #expect(result.output == "in\n", "\(variant): \(result.errors)")
            }
            #expect(try await sshd.run("true", by: .lockedKey).exitCode == 255)
            #expect(try await sshd.run("true", by: .agent).exitCode == 255)
            try await sshd.withAgent { _ in
                let result = try await sshd.run("echo in", by: .agent)
                #expect(result.output == "in\n", "\(result.errors)")
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "only root can give another login shell"))
    func `root can choose the login shell, and what it reads first`() async throws {
        var configuration = ThrowawaySSHD.Configuration()
        configuration.loginShell = "/bin/bash"
        configuration.environment = [:]
        configuration.homeFiles = [".bashrc": "echo WELCOME"]
        try await withThrowawaySSHD(configuration) { sshd in
            let result = try await sshd.run("echo $0 $PWD")
            #expect(result.output == "WELCOME\nbash \(sshd.home)\n")
        }
    }

    @Test func `a far program that outlives its scope is ended and named`() async throws {
        var configuration = ThrowawaySSHD.Configuration()
        configuration.programsMayOutlive = .milliseconds(100)
        let error = try await #require(throws: TestKitError.self) {
            try await withThrowawaySSHD(configuration) { sshd in
                _ = try await sshd.run("sleep 86398 </dev/null >/dev/null 2>&1 &")
                #expect(sshd.programs().count == 1)
            }
        }
        #expect(error.code == .leftBehind)
        #expect(error.message.contains("sleep 86398"))
        #expect(ProcessTable.carrying("86398").isEmpty)
    }

    @Test func `a dropped connection ends the client, not the server`() async throws {
        try await withThrowawaySSHD { sshd in
            async let lost = sshd.run("echo $$ >~/started; exec sleep 86397")
            await eventually { FileManager.default.fileExists(atPath: "\(sshd.home)/started") }
            sshd.dropConnections()
            let result = try await lost
            #expect(result.exitCode == 255)
            for program in sshd.programs() { program.send(signal: SIGKILL) }
            #expect(try await sshd.run("echo again").output == "again\n")
        }
    }

    @Test func `a cancelled scope still cleans up`() async throws {
        let scope = Task {
            try await withThrowawaySSHD { sshd in
                try? "".write(toFile: "\(sshd.directory)/seen", atomically: true, encoding: .utf8)
                _ = try await sshd.run("sleep 86396")
            }
        }
        await eventually { !ProcessTable.carrying("sleep 86396").isEmpty }
        scope.cancel()
        await #expect(throws: CancellationError.self) { try await scope.value }
        #expect(ProcessTable.carrying("86396").isEmpty)
    }
}
