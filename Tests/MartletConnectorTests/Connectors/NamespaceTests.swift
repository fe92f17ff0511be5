import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// nsenter, chroot and unshare, the real ones.
@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct NamespaceTests {
    private func local(_ user: String) -> LocalConnector {
        var options = LocalOptions()
        options.user = user
        return .local(options)
    }

    /// A machine with nothing in it but `/srv/host`, a copy of itself, and `/srv/tiny`, if there is a busybox.
    private func withMachine(_ body: @Sendable (Context, ThrowawayMachine) async throws -> Void) async throws {
        var configuration = ThrowawayMachine.Configuration()
        configuration.setup = """
            mkdir -p /srv/host /srv/tiny/bin /srv/layers
            mount --rbind / /srv/host
            cp "$(command -v busybox)" /srv/tiny/bin/sh || :
            """
        try await withThrowawayMachine(configuration) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                try await body(try await martlet.connect(.command(machine.commandPrefix + ["/bin/sh", "-c"])), machine)
            }
        }
    }

    @Test func `The namespaces of a process`() async throws {
        try await withMachine { root, machine in
            let marker = makeMarker()
            let command =
                "exec unshare --uts --net --mount sh -c 'hostname other; mount -t tmpfs none /srv; touch /srv/in; exec sleep \(marker)'"
            let other = Task { try await root.run(command) }
            let find =
                "for p in /proc/[0-9]*; do [ \"$(tr '\\0' ' ' <$p/cmdline)\" = 'sleep \(marker) ' ] && echo ${p#/proc/}; done"
            await eventually { try await !root.run(find).text.isEmpty }
            let pid = try #require(Int32(try await root.run(find).lines.first ?? ""))

            let all = try await root.connect(.nsenter(pid: pid))
            #expect(all.facts.hostname == "other")
            #expect(try await all.call(Add(a: 1, b: 2)) == 3)
            #expect(try await all.run("ls /srv").lines == ["in"])
            #expect(try await all.connect(.local).run("hostname").lines == ["other"])
            var some = NamespaceConnector(pid: pid)
            some.namespaces = [.uts]
            some.userID = 65534
            some.groupID = 65534
            some.environment = ["A": "b c"]
            let lines = try await root.connect(some).run(
                "hostname; ls /srv/in 2>&1 | grep -c No; id -u; id -g; echo \"$A\""
            ).lines
            #expect(lines == ["other", "1", "65534", "65534", "b c"])

            let nobody = try await root.connect(local("nobody"))
            let refused = try await expectError(.authenticationFailed) { try await nobody.connect(.nsenter(pid: pid)) }
            #expect(refused.message == "we may not enter the namespaces of process \(pid)")
            let none = try await expectError(.unreachable) { try await root.connect(.nsenter(pid: 4_194_303)) }
            #expect(none.message == "there is no process 4194303")
            try await expectError(.misuse) { try await root.connect(.nsenter(pid: -1)) }
            other.cancel()
            _ = await other.result
        }
    }

    @Test func `Another root directory`() async throws {
        try await withMachine { root, machine in
            _ = try await machine.run("touch /srv/host/here")
            let host = try await root.connect(.chroot("/srv/host"))
            #expect(host.route.steps.last == "chroot:/srv/host")
            #expect(try await host.call(Add(a: 1, b: 2)) == 3)
            #expect(try await host.run("ls /here; id -u").lines == ["/here", "0"])
            let nobody = try await root.connect(.chroot("/srv/host", user: "nobody:nogroup"))
            #expect(try await nobody.run("id -un; id -gn").lines == ["nobody", "nogroup"])
            #expect(try await nobody.call(Add(a: 1, b: 2)) == 3)

            func message(
                _ code: MartletError.Code, _ context: Context, _ connector: ChrootConnector
            ) async throws -> String {
                try await expectError(code) { try await context.connect(connector) }.message
            }
            #expect(try await message(.unreachable, root, .chroot("/nosuch")) == "there is no directory /nosuch")
            #expect(try await message(.noShell, root, .chroot("/srv/layers")) == "there is no sh in /srv/layers")
            #expect(
                try await message(.connectorFailed, root, .chroot("/srv/host", user: "joe-like-nobody"))
                    == "there is no user joe-like-nobody in /srv/host")
            #expect(
                try await message(.authenticationFailed, nobody, .chroot("/usr"))
                    == "only root may change the root directory")
            try await expectError(.misuse) { try await root.connect(.chroot("--help")) }
        }
    }

    @Test(
        .enabled("needs busybox-static") { try await runProgram(["sh", "-c", "command -v busybox"]).exitCode == 0 },
        .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes")
    )
    func `A root directory with a shell alone takes a static agent, and no other`() async throws {
        var configuration = ThrowawayMachine.Configuration()
        configuration.setup = """
            mkdir -p /srv/tiny/bin /srv/tiny/tmp
            cp "$(command -v busybox)" /srv/tiny/bin/
            for name in $(busybox --list); do [ $name = busybox ] || ln -s busybox /srv/tiny/bin/$name; done
            """
        try await withThrowawayMachine(configuration) { machine in
            let way = CommandConnector.command(machine.commandPrefix + ["/bin/sh", "-c"])
            try await withMartlet(OutputLog().staticOptions) { martlet in
                let tiny = try await martlet.connect(way).connect(.chroot("/srv/tiny"))
                #expect(try await tiny.run("echo here").lines == ["here"])
            }
            try await withMartlet(OutputLog().options) { martlet in
                let root = try await martlet.connect(way)
                var options = ConnectOptions()
                // The whole image goes to one place after the other.
                options.deadline = .seconds(180)
                let unfit = try await expectError(.imageDied) { [options] in
                    try await root.connect(.chroot("/srv/tiny"), options: options)
                }
                #expect(
                    unfit.advice == "send a static image: swift build -c release -Xswiftc -static-executable",
                    "\(unfit)")
                #expect(unfit.phase == .boot)
            }
            let left = try await machine.text("find /srv/tiny -name '*martlet*' -exec ls -lad {} +")
            #expect(left == "")
        }
    }

    @Test(arguments: ["root", "nobody"])
    func `A sandbox has no network, a tmp of its own, and no other process`(user: String) async throws {
        try await withMachine { root, machine in
            _ = try await machine.run("touch /tmp/outside; chmod 1777 /tmp")
            let from = user == "root" ? root : try await root.connect(local(user))
            let sandbox = try await from.connect(.unshare)
            #expect(sandbox.route.steps.last == "unshare")
            #expect(try await sandbox.call(Add(a: 1, b: 2)) == 3)
            #expect(sandbox.facts.userID == 0)
            #expect(try await sandbox.run("ls /tmp | grep outside; grep -c : /proc/net/dev").lines == ["1"])
            #expect(try await sandbox.run("touch /tmp/inside").succeeded)
            #expect(try await machine.run("ls /tmp/inside").exitCode != 0)
            // The shell that is the first process, the agent, its guard, and this.
            let names = try await sandbox.run("cat /proc/[0-9]*/comm").lines
            #expect(names.count < 8 && names.contains("sh"), "\(names)")
            #expect(sandbox.processID != 1)
            #expect(try await sandbox.connect(.local).call(Add(a: 1, b: 2)) == 3)
            // The rights are those of outside.
            let write = try await sandbox.run("touch /etc/inside")
            #expect(write.succeeded == (user == "root"))

            // It ends with the program in front.
            let marker = makeMarker()
            let run = Task { try await sandbox.run("(trap '' TERM; setsid sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2 }
            // Other users' sandboxes may be there at the same time.
            let marked = Set(ProcessTable.carrying(marker))
            let front = try #require(
                ProcessTable.all().first { entry in
                    entry.name == "unshare" && entry.commandLine.contains("--mount-proc")
                        && !marked.isDisjoint(with: ProcessTable.descendants(of: entry.pid))
                })
            front.send(signal: SIGKILL)
            await #expect(throws: MartletError.self) { try await run.value }
            await eventually { ProcessTable.carrying(marker).isEmpty }

            var open = UnshareConnector()
            open.hasNetwork = true
            open.hasSharedTemporaryDirectory = true
            open.memoryLimit = 300 << 20
            let other = try await from.connect(open)
            #expect(
                try await other.run("ls /tmp/outside; readlink /proc/self/ns/net").lines.dropFirst()
                    == root.run("readlink /proc/self/ns/net").lines[...])
            // One process takes more than it may, another as much as it may.
            let eat = "perl -e '$x = \"x\" x ($ARGV[0] << 20); print length $x' "
            #expect(try await other.run(eat + "100").succeeded)
            #expect(try await !other.run(eat + "400").succeeded)
            #expect(try await other.call(Add(a: 1, b: 2)) == 3)
            #expect(try await from.run(eat + "400").succeeded)
        }
    }

    @Test func `Where there may be no sandbox the error says so`() async throws {
        try await withMachine { root, machine in
            // In another root directory nobody but root gets a user namespace.
            let nobody = try await root.connect(.chroot("/srv/host", user: "nobody"))
            let error = try await expectError(.authenticationFailed) { try await nobody.connect(.unshare) }
            #expect(error.message == "the kernel does not let us make a sandbox")
            #expect(error.detail?.contains("Operation not permitted") == true)
        }
    }
}
