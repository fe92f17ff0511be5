import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// systemd-nspawn, and systemd-run in machines that run systemd: the real ones.
@Suite(.leakChecked) struct SystemdTests {
    @Test(.enabled("needs systemd-container and busybox-static, and they work") { await Box.directories.works })
    func `A container that systemd-nspawn makes`() async throws {
        try await withBoxes(.directories) { root, machine in
            var connector = NspawnConnector("/srv/host")
            connector.hasNetwork = false
            connector.hostname = "spawned"
            let host = try await root.connect(connector)
            #expect(host.route.steps.last == "nspawn:/srv/host")
            #expect(host.facts.hostname == "spawned")
            #expect(host.processID != 1)
            #expect(try await host.call(Add(a: 1, b: 2)) == 3)
            #expect(try await host.call(Echo(value: "\u{0}\u{4}\r\nü")) == "\u{0}\u{4}\r\nü")
            #expect(try await host.connect(.local).call(Add(a: 1, b: 2)) == 3)
            #expect(
                try await host.run("cat /proc/net/dev | grep -c :; cat /proc/1/comm").lines == ["1", "(sd-stubinit)"])

            let busy = try await expectError(.unreachable) { try await root.connect(connector) }
            #expect(busy.message == "another container uses /srv/host")
            await host.close()
            await eventually { machine.agentsInContainers().isEmpty }

            connector.user = "nobody"
            connector.directory = "/usr"
            connector.environment = ["A": "b c"]
            let nobody = try await root.connect(connector)
            #expect(nobody.route.steps.last == "nspawn:nobody@/srv/host")
            #expect(try await nobody.run("id -un; pwd; echo \"$A\"").lines == ["nobody", "/usr", "b c"])
            // Whoever kills the program in front kills all of it.
            let marker = makeMarker()
            let run = Task { try await nobody.run("(trap '' TERM; sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2 }
            let front = try #require(
                ProcessTable.all().first { $0.name == "systemd-nspawn" && $0.commandLine.contains("/srv/host") })
            front.send(signal: SIGKILL)
            await #expect(throws: MartletError.self) { try await run.value }
            await eventually { ProcessTable.carrying(marker).isEmpty && machine.agentsInContainers().isEmpty }

            @Sendable func message(_ code: MartletError.Code, _ connector: NspawnConnector) async throws -> String {
                try await expectError(code) { try await root.connect(connector) }.message
            }
            connector.user = "joe-like-nobody"
            #expect(try await message(.connectorFailed, connector) == "there is no user joe-like-nobody in /srv/host")
            #expect(try await message(.unreachable, .nspawn("/srv/nosuch")) == "there is no /srv/nosuch")
            #expect(try await message(.unreachable, .nspawn("/srv/bare")) == "there is no system in /srv/bare")
            #expect(try await machine.run("rm /srv/tiny/bin/sh").exitCode == 0)
            #expect(try await message(.noShell, .nspawn("/srv/tiny")) == "there is no sh in /srv/tiny")
            try await expectError(.misuse) { try await root.connect(.nspawn("--boot")) }
            var options = LocalOptions()
            options.user = "nobody"
            let plain = try await root.connect(.local(options))
            try await expectError(.authenticationFailed) { try await plain.connect(.nspawn("/srv/tiny")) }
        }
    }

    @Test(.enabled("needs systemd, systemd-container and dbus, and they work") { await Box.systemd.works })
    func `A machine that systemd-machined knows`() async throws {
        try await withBoxes(.systemd) { root, machine in
            let leader = try #require(Int32(try await machine.text("cat /srv/leader")))
            let outer = try await root.connect(.nsenter(pid: leader))
            #expect(outer.route.steps.last == "nsenter:\(leader)")
            let inner = try await outer.connect(.machine("inner"))
            #expect(inner.route.steps.last == "machine:inner")
            #expect(try await inner.call(Add(a: 1, b: 2)) == 3)
            #expect(try await inner.call(Echo(value: "\u{0}\u{4}\r\nü")) == "\u{0}\u{4}\r\nü")
            #expect(try await inner.connect(.local).call(Add(a: 1, b: 2)) == 3)
            #expect(try await inner.run("echo $HOME; cat /proc/1/comm").lines == ["/root", "systemd"])
            #expect(try await outer.connect(.machine("inner")).timings.wasCached)
            var connector = MachineConnector(".host", user: "nobody")
            connector.directory = "/usr"
            connector.environment = ["A": "b $c %n"]
            let nobody = try await outer.connect(connector)
            #expect(nobody.route.steps.last == "machine:nobody@.host")
            #expect(try await nobody.run("id -un; pwd; echo \"$A\"").lines == ["nobody", "/usr", "b $c %n"])
            // By its leader, too.
            let entered = try await outer.connect(.nsenter(leaderOf: "inner", in: .machine))
            #expect(entered.route.steps.last == "nsenter:machine:inner")
            #expect(try await entered.call(Add(a: 1, b: 2)) == 3)
            #expect(try await entered.run("readlink /proc/1/ns/mnt").text == inner.run("readlink /proc/1/ns/mnt").text)

            func message(
                _ code: MartletError.Code, _ context: Context, _ connector: some Connector
            ) async throws -> String {
                try await expectError(code) { try await context.connect(connector) }.message
            }
            #expect(
                try await message(.unreachable, outer, .machine("nosuch"))
                    == "there is no machine nosuch, or it does not run systemd")
            #expect(
                try await message(.unreachable, outer, .nsenter(leaderOf: "nosuch", in: .machine))
                    == "the container nosuch does not run, or there is none")
            #expect(
                try await message(.connectorFailed, outer, .machine("inner", user: "joe-like-nobody"))
                    == "there is no user joe-like-nobody in the machine inner")
            connector.directory = "/nosuch"
            #expect(
                try await message(.connectorFailed, outer, connector)
                    == "there is no directory /nosuch in the machine .host")
            #expect(try await message(.unreachable, root, .machine(".host")) == "systemd does not run here")
            #expect(
                try await message(.authenticationFailed, nobody, .machine("inner"))
                    == "we may not run programs in the machine inner")
            try await expectError(.misuse) { try await outer.connect(.machine("-M")) }
            await outer.close()
            await eventually { machine.agentsInContainers().isEmpty }
        }
    }
}
