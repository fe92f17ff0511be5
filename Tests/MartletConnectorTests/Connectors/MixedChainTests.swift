import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// Several ways in, one behind the other.
@Suite(
    .leakChecked, .enabled("needs podman, runc and busybox-static, and they work") { await Box.podman.works }
) struct MixedChainTests {
    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `ssh, then sudo, then a container, then su`() async throws {
        try await Box.withoutLeftGroups {
            try await withAccountMachine { root, machine in
                try await Box.podman.start(in: machine)
                let ssh = SSHConnector.ssh(
                    "known", user: "joe", options: ["PubkeyAuthentication=no"], password: Secret("pw joe"))
                let joe = try await root.connect(ssh)
                let sudo = try await joe.connect(.sudo(password: Secret("pw joe")))
                let container = try await sudo.connect(.podman("host"))
                let ann = try await container.connect(.su("ann"))
                #expect(ann.route.steps.dropFirst() == ["ssh:joe@known", "sudo:root", "podman:host", "su:ann"])
                #expect(try await ann.run("id -un; hostname; echo $HOME").lines == ["ann", "host", "/home/ann"])
                #expect(try await ann.call(Echo(value: "\u{0}\u{4}\r\nü")) == "\u{0}\u{4}\r\nü")
                let bytes = pattern(2 << 20)
                #expect(try await ann.call(Echo(value: bytes)) == bytes)
                // What is thrown at the end says where it came from.
                let error = try await expectError(.connectorFailed) { try await ann.connect(.su("joe-like-nobody")) }
                #expect(error.route.steps.dropFirst(4) == ["su:ann", "su:joe-like-nobody"])
                await joe.close()
                await eventually { machine.agentsInContainers().isEmpty }
            }
        }
    }

    @Test(.enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"))
    func `The controller's link carries the image once; containers get it from the middle`() async throws {
        try await withBoxes(.podman, options: OutputLog().staticOptions) { root, machine in
            #expect(root.timings.bytesSent > 1_000_000 || root.timings.wasCached)
            let before = root.linkTraffic.sent
            let tiny = try await root.connect(.podman("tiny"))
            #expect(!tiny.timings.wasCached)
            #expect(tiny.timings.bytesSent > 1_000_000)
            #expect(try await tiny.run("hostname; echo here").lines.last == "here")
            var fresh = ContainerConnector.podman(image: "tiny:1", options: ["--network=none"])
            fresh.environment = ["A": "b"]
            let other = try await root.connect(fresh)
            #expect(!other.timings.wasCached)
            #expect(try await other.run("echo $A").lines == ["b"])
            #expect(try await other.connect(.local).run("echo deep").lines == ["deep"])
            // A pool of them, at once.
            try await withThrowingTaskGroup(of: [String].self) { [fresh] group async throws in
                for _ in 0..<6 { group.addTask { try await root.connect(fresh).run("hostname").lines } }
                #expect(try await group.reduce(into: Set()) { $0.formUnion($1) }.count == 6)
            }
            let sent = root.linkTraffic.sent - before
            #expect(sent < 40_000, "nine contexts below took \(sent) bytes")
            #expect(try await machine.text("podman ps -q | wc -l") == "10")
            await root.close()
            await eventually { try await machine.text("podman ps -aq | wc -l") == "3" }
        }
    }
}
