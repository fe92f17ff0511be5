import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// LXC's own tools and LXD, the real ones.
@Suite(.leakChecked) struct LXCTests {
    @Test(.enabled("needs lxc and busybox-static, and they work") { await Box.lxc.works })
    func `A container of LXC's`() async throws {
        try await withBoxes(.lxc) { root, machine in
            let host = try await root.connect(.lxc("host"))
            #expect(host.route.steps.last == "lxc:host")
            #expect(host.facts.hostname == "host")
            #expect(try await host.call(Add(a: 1, b: 2)) == 3)
            #expect(try await host.call(Echo(value: "\u{0}\u{4}\r\nü")) == "\u{0}\u{4}\r\nü")
            #expect(try await host.connect(.local).call(Add(a: 1, b: 2)) == 3)
            #expect(try await host.run("echo $HOME; echo ${MARTLET_TESTKIT-none}").lines == ["/root", "none"])
            #expect(try await root.connect(.lxc("host")).timings.wasCached)
            var other = LXCConnector("host")
            other.userID = 65534
            other.groupID = 65534
            other.environment = ["A": "b c"]
            #expect(try await root.connect(other).run("id -u; id -g; echo \"$A\"").lines == ["65534", "65534", "b c"])

            let entered = try await root.connect(.nsenter(leaderOf: "host", in: .lxc))
            #expect(entered.facts.hostname == "host")
            let none = try await expectError(.unreachable) { try await root.connect(.lxc("nosuch")) }
            #expect(none.message == "the container nosuch does not run, or there is none")
            try await expectError(.misuse) { try await root.connect(.lxc("-n")) }
            #expect(try await machine.run("rm /srv/tiny/bin/sh").exitCode == 0)
            let bare = try await expectError(.noShell) { try await root.connect(.lxc("tiny")) }
            #expect(bare.message == "there is no sh in the container tiny")
            #expect(try await machine.run("lxc-stop -k -n tiny").exitCode == 0)
            try await expectError(.unreachable) { try await root.connect(.lxc("tiny")) }
            await root.close()
            await eventually { machine.agentsInContainers().isEmpty }
        }
    }

    @Test(
        .enabled("needs lxd and busybox-static, and they work") { await Box.lxd.works },
        .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes")
    )
    func `An instance of LXD's`() async throws {
        try await withBoxes(.lxd, options: OutputLog().staticOptions) { root, machine in
            let tiny = try await root.connect(.lxd("tiny"))
            #expect(tiny.route.steps.last == "lxd:tiny")
            #expect(tiny.facts.hostname == "tiny")
            #expect(try await tiny.run("id -u; echo $HOME").lines == ["0", "/root"])
            #expect(try await tiny.connect(.local).run("echo deep").lines == ["deep"])
            #expect(try await root.connect(.lxd("tiny")).timings.wasCached)
            #expect(try await root.connect(.nsenter(leaderOf: "tiny", in: .lxd)).facts.hostname == "tiny")
            let bytes = pattern(2 << 20)
            var input = CommandOptions()
            input.input = .bytes(bytes)
            #expect(try await tiny.run("cat", options: input).standardOutput == bytes)
            var other = IncusConnector("tiny", program: "lxc")
            other.userID = 65534
            other.groupID = 65534
            other.directory = "/etc"
            other.environment = ["A": "b c"]
            let lines = try await root.connect(other).run("id -u; id -g; pwd; echo \"$A\"").lines
            #expect(lines == ["65534", "65534", "/etc", "b c"])

            func message(_ code: MartletError.Code, _ connector: IncusConnector) async throws -> String {
                try await expectError(code) { try await root.connect(connector) }.message
            }
            #expect(try await message(.unreachable, .lxd("nosuch")) == "there is no instance nosuch")
            #expect(try await message(.unreachable, .lxd("far:tiny")) == "there is no such remote")
            try await expectError(.misuse) { try await root.connect(.lxd("-T")) }
            #expect(try await machine.run("lxc exec tiny -- rm /bin/sh").exitCode == 0)
            #expect(try await message(.noShell, .lxd("tiny")) == "there is no sh in the instance tiny")
            #expect(try await machine.run("lxc stop -f tiny").exitCode == 0)
            #expect(try await message(.unreachable, .lxd("tiny")) == "the instance tiny does not run")
            var options = LocalOptions()
            options.user = "nobody"
            let nobody = try await root.connect(.local(options))
            let refused = try await expectError(.authenticationFailed) { try await nobody.connect(.lxd("tiny")) }
            #expect(refused.message == "we may not speak to the daemon of LXD")
            await root.close()
            await eventually { machine.agentsInContainers().isEmpty }
        }
    }
}
