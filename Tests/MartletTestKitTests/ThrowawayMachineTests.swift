import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct ThrowawayMachineTests {
    @Test func `a machine changes nothing outside`() async throws {
        try await withThrowawayMachine { machine in
            let made = try await machine.run("hostname; id -un; touch /etc/martlet-was-here && echo $$; echo >/tmp/x")
            #expect(made.output.hasPrefix("throwaway\nroot\n"), "\(made.errors)")
            #expect(!FileManager.default.fileExists(atPath: "/etc/martlet-was-here"))
            #expect(machine.programs().isEmpty)
        }
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/busybox"), "needs busybox-static"))
    func `a machine can hold busybox alone, with nothing writable`() async throws {
        var configuration = ThrowawayMachine.Configuration()
        configuration.root = .busybox
        configuration.traits = [.readOnly, .noexec]
        try await withThrowawayMachine(configuration) { machine in
            let result = try await machine.run("ls /bin/sh; ls -d /usr/bin/python3; echo >/tmp/x || echo >/x || exit 7")
            #expect(result.output == "/bin/sh\n")
            #expect(result.exitCode == 7)
        }
    }

    @Test(arguments: ThrowawayMachine.Configuration.Trait.allCases)
    func `an odd machine is as odd as asked`(trait: ThrowawayMachine.Configuration.Trait) async throws {
        let probe =
            switch trait {
            case .noexec: "cp /bin/true /tmp/ && ! /tmp/true"
            case .readOnlyRoot: "echo >/tmp/x && ! echo >/etc/x"
            case .readOnly: "! echo >/tmp/x && ! echo >/etc/x"
            case .noMemoryFiles: "[ $(cat /proc/sys/vm/memfd_noexec) = 2 ]"
            case .noProc: "[ ! -e /proc/self ]"
            }
        var configuration = ThrowawayMachine.Configuration()
        configuration.traits = [trait]
        try await withThrowawayMachine(configuration) { machine in
            let result = try await machine.run(probe)
            #expect(result.exitCode == 0, "\(result.errors)")
        }
    }

    @Test(arguments: [ThrowawayMachine.Configuration.Root.host, .busybox])
    func `a disk can be nearly full`(root: ThrowawayMachine.Configuration.Root) async throws {
        var configuration = ThrowawayMachine.Configuration()
        configuration.root = root
        configuration.freeKilobytes = 1024
        try await withThrowawayMachine(configuration) { machine in
            for place in ["/tmp", "/run", "/dev/shm", "/root", "/var/tmp"] {
                let file = "\(place)/x"
                let little = try await machine.run("head -c 500000 /dev/zero >\(file)")
                #expect(little.exitCode == 0, "\(place): \(little.errors)")
                let much = try await machine.run("head -c 2000000 /dev/zero >\(file)")
                #expect(much.exitCode != 0, "\(place)")
                _ = try await machine.run("rm \(file)")
            }
        }
    }
}
