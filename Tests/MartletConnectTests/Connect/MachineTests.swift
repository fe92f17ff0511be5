import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Where the toolchain is whose libraries this program uses.
private let toolchain: String = {
    // A file of /proc has no size, so it is read to its end.
    let maps = (try? FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd()) ?? Data()
    let lines = String(decoding: maps, as: UTF8.self).split(separator: "\n")
    guard let path = lines.first(where: { $0.hasSuffix("/libswiftCore.so") })?.split(separator: " ").last else {
        return "/no/toolchain"
    }
    return URL(fileURLWithPath: String(path)).deletingLastPathComponent().path
}()

@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct MachineTests {
    private typealias Configuration = ThrowawayMachine.Configuration

    /// A machine like this one, but without Swift.
    private var bare: Configuration {
        var configuration = Configuration()
        configuration.setup = "rm -rf '\(toolchain)'"
        return configuration
    }

    private func way(into machine: ThrowawayMachine) -> CommandConnector {
        .command(machine.commandPrefix + ["/bin/sh", "-c"])
    }

    @Test func `A program with its libraries runs where there is no Swift`() async throws {
        try await withThrowawayMachine(bare) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                let context = try await martlet.connect(way(into: machine))
                #expect(context.facts.hostname == "throwaway")
                #expect(try await context.run("ls '\(toolchain)'").termination == .exited(2))
                #expect(try await context.call(Add(a: 1, b: 2)) == 3)
                let below = try await context.connect(.local)
                #expect(try await below.call(Echo(value: "deep")) == "deep")
                #expect(try await below.run("hostname").lines == ["throwaway"])
            }
            await eventually { machine.programs().isEmpty }
        }
    }

    @Test func `Under memory nothing new is on the disk`() async throws {
        try await withThrowawayMachine(bare) { machine in
            // What the machine writes lies on another device than what it shares with this one.
            let device = try await machine.run("touch /marker; stat -c %d /marker; sleep 0.01")
            let places = "/dev/shm /run /tmp /root /home /var /etc /opt /srv"
            let find = "find \(places) -xdev -newer /marker -type f -printf '%D %p\\n'"
            let isOwn: @Sendable (Substring) -> Bool = { $0.hasPrefix(device.output.dropLast() + " /") }
            try await withMartlet(OutputLog().options) { martlet in
                var options = ConnectOptions()
                options.policy = .memory
                let context = try await martlet.connect(way(into: machine), options: options)
                #expect(try await context.call(Add(a: 1, b: 2)) == 3)
                let below = try await context.connect(.local)
                #expect(try await below.call(Add(a: 1, b: 2)) == 3)
                let lowest = try await below.connect(.local)
                #expect(try await lowest.call(Add(a: 1, b: 2)) == 3)
                // The image's files that are kept open are not for commands to see.
                for context in [context, below, lowest] {
                    #expect(try await context.run("ls /proc/$$/fd; :").lines == ["0", "1", "2"])
                }
                let found = try await machine.run(find)
                #expect(found.output.split(separator: "\n").filter(isOwn) == [])
            }
            let left = try await machine.run("touch /etc/other; \(find)")
            let own = left.output.split(separator: "\n").filter(isOwn)
            #expect(own.map { $0.split(separator: " ").last } == ["/etc/other"])
            #expect(
                !left.output.contains("/dev/shm/") && !left.output.contains(" /tmp/") && !left.output.contains(" /run/")
            )
        }
    }

    @Test(
        .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"),
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/busybox"), "needs busybox-static")
    )
    func `A static agent under memory writes no file at all`() async throws {
        var configuration = Configuration()
        configuration.root = .busybox
        let agent = try #require(staticAgent)
        try await withThrowawayMachine(configuration) { machine in
            _ = try await machine.run("touch /marker; sleep 1")
            var options = OutputLog().options
            options.images = .executables([agent])
            try await withMartlet(options) { martlet in
                var options = ConnectOptions()
                options.policy = .memory
                let context = try await martlet.connect(way(into: machine), options: options)
                let below = try await context.connect(.local)
                #expect(try await below.run("find / /dev/shm /run /tmp -xdev -newer /marker -type f").lines == [])
            }
        }
    }

    @Test func `Without any place the error lists each try`() async throws {
        var configuration = bare
        configuration.traits = [.readOnly, .noexec]
        try await withThrowawayMachine(configuration) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                for policy in [ImagePolicy.disk, .nothing, .memory] {
                    var options = ConnectOptions()
                    options.policy = policy
                    let error = try await expectError(.noPlace) { [options] in
                        try await martlet.connect(way(into: machine), options: options)
                    }
                    #expect(error.phase == .boot)
                    #expect(error.detail?.contains("/dev/shm: ") == true, "\(error)")
                    #expect(error.detail?.contains("/tmp: ") == true, "\(error)")
                    #expect(error.advice != nil)
                }
            }
            #expect(machine.programs().isEmpty)
        }
    }

    @Test func `A cached image that lacks a library is sent again`() async throws {
        try await withThrowawayMachine(bare) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                try await martlet.connect(way(into: machine)).call(Nothing())
                _ = try await machine.run("rm /root/.cache/martlet/*/libswiftCore.so")
                let healed = try await martlet.connect(way(into: machine))
                #expect(!healed.timings.wasCached)
                #expect(try await healed.call(Add(a: 1, b: 2)) == 3)
                #expect(try await martlet.connect(way(into: machine)).timings.wasCached)
            }
        }
    }

    @Test func `A program that does not know where its libraries are has children there too`() async throws {
        try await TestFolder.with { folder in
            // The same build, with a run path that names the toolchain alone.
            var program = try Data(contentsOf: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath())
            let image = folder.file("image")
            let runPath = try #require(program.range(of: Data("linux:$ORIGIN".utf8)))
            program.replaceSubrange(runPath, with: Data("linux:/NOWHER".utf8))
            try program.write(to: URL(fileURLWithPath: image))
            chmod(image, 0o755)
            try await withThrowawayMachine(bare) { machine in
                var options = OutputLog().options
                options.images = .executables([image])
                try await withMartlet(options) { martlet in
                    for policy in [ImagePolicy.disk, .memory] {
                        var options = ConnectOptions()
                        options.policy = policy
                        let context = try await martlet.connect(way(into: machine), options: options)
                        let below = try await context.connect(.local).connect(.local)
                        #expect(try await below.call(Add(a: 1, b: 2)) == 3)
                        // What the children need is no business of commands.
                        #expect(try await below.run("echo ${LD_LIBRARY_PATH-unset}").lines == ["unset"])
                        // From there it can be sent on, with its libraries.
                        let further = try await context.connect(
                            .command(["env", "XDG_CACHE_HOME=/tmp/other", "/bin/sh", "-c"]))
                        #expect(!further.timings.wasCached)
                        #expect(try await further.call(Add(a: 3, b: 4)) == 7)
                        _ = try await machine.run("rm -rf /tmp/other")
                    }
                }
                await eventually { machine.programs().isEmpty }
            }
        }
    }

    @Test func `A program that lacks a library of the system says which`() async throws {
        var configuration = bare
        configuration.setup += "; rm -f /lib/*/libstdc++.so.6* /usr/lib/*/libstdc++.so.6*"
        try await withThrowawayMachine(configuration) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                for detail in [nil, "a first try failed too"] {
                    let error = try await expectError(.imageDied) { try await martlet.connect(way(into: machine)) }
                    #expect(error.message.contains("libstdc++.so.6"))
                    if let detail { #expect(error.detail?.contains(detail) == true, "\(error)") }
                }
                let error = try await expectError(.imageDied) { try await martlet.connect(way(into: machine)) }
                #expect(error.phase == .boot)
                #expect(error.advice?.contains("static") == true)
            }
        }
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/busybox"), "needs busybox-static"))
    func `A dynamic program where there is not even a C library says so`() async throws {
        var configuration = Configuration()
        configuration.root = .busybox
        try await withThrowawayMachine(configuration) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                var options = ConnectOptions()
                // The whole image goes to one place after the other.
                options.deadline = .seconds(180)
                let error = try await expectError(.imageDied) { [options] in
                    try await martlet.connect(way(into: machine), options: options)
                }
                #expect(error.phase == .boot)
                #expect(error.advice?.contains("static") == true)
                let left = try await machine.run("ls -A /tmp /dev/shm /run")
                #expect(!left.output.contains("martlet"), "\(left.output)")
            }
        }
    }

    @Test(
        .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"),
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/busybox"), "needs busybox-static"),
        arguments: [[], [.readOnlyRoot], [.noProc], [.readOnlyRoot, .noProc]]
            as [Set<ThrowawayMachine.Configuration.Trait>]
    )
    func `A static agent runs where there is busybox and nothing else`(
        traits: Set<ThrowawayMachine.Configuration.Trait>
    ) async throws {
        var configuration = Configuration()
        configuration.root = .busybox
        configuration.traits = traits
        let agent = try #require(staticAgent)
        try await withThrowawayMachine(configuration) { machine in
            var options = OutputLog().options
            options.images = .executables([agent])
            try await withMartlet(options) { martlet in
                for policy in ImagePolicy.allCases {
                    var options = ConnectOptions()
                    options.policy = policy
                    let context = try await martlet.connect(way(into: machine), options: options)
                    #expect(try await context.run("hostname; exit 3").termination == .exited(3))
                    #expect(context.facts.hostname == "throwaway")
                    await context.close()
                }
                // A child of it is started from what it runs from.
                let context = try await martlet.connect(way(into: machine))
                if !traits.contains(.noProc) {
                    let below = try await context.connect(.local)
                    #expect(try await below.run("echo deep").lines == ["deep"])
                }
            }
            await eventually { machine.programs().isEmpty }
        }
    }

    @Test(
        .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"),
        arguments: [
            [.noexec], [.noexec, .readOnlyRoot], [.readOnly], [.noexec, .readOnly], [.noMemoryFiles], [.noProc],
        ] as [Set<ThrowawayMachine.Configuration.Trait>]
    )
    func `A static agent finds its place on an odd machine`(
        traits: Set<ThrowawayMachine.Configuration.Trait>
    ) async throws {
        var configuration = Configuration()
        configuration.traits = traits
        let agent = try #require(staticAgent)
        try await withThrowawayMachine(configuration) { machine in
            var options = OutputLog().options
            options.images = .executables([agent])
            try await withMartlet(options) { martlet in
                let context = try await martlet.connect(way(into: machine))
                #expect(try await context.run("echo here").lines == ["here"])
            }
            await eventually { machine.programs().isEmpty }
        }
    }

    @Test func `Tasks that ask for no executor run where there is no proc`() async throws {
        var configuration = Configuration()
        configuration.traits = [.noProc]
        try await withThrowawayMachine(configuration) { machine in
            try await withMartlet(OutputLog().options) { martlet in
                // The first start sends the image.
                for _ in 0..<20 {
                    let context = try await martlet.connect(way(into: machine))
                    #expect(try await context.call(StartPlainTasks(count: 200)) == 19_900)
                    await context.close()
                }
                let context = try await martlet.connect(way(into: machine))
                // Longer than a second, with more to do than there are processors all the time.
                #expect(try await context.call(StartPlainTasks(count: 50, milliseconds: 60)) == 1_225)
            }
        }
    }

    @Test(.enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"), arguments: [true, false])
    func `A static agent is detached and found again, also as another user`(asAnother: Bool) async throws {
        let agent = try #require(staticAgent)
        var configuration = bare
        configuration.setup += "; useradd -m guest 2>/dev/null || adduser -D guest"
        try await withThrowawayMachine(configuration) { machine in
            let sudo = ["sudo", "-n", "-H", "-u", "guest", "--"]
            let other = ["setpriv", "--reuid=guest", "--regid=guest", "--clear-groups", "env", "HOME=/home/guest"]
            let user = try await machine.run("command -v sudo").exitCode == 0 ? sudo : other
            let way = CommandConnector(command: machine.commandPrefix + (asAnother ? user : []) + ["/bin/sh", "-c"])
            var options = OutputLog().options
            options.images = .executables([agent])
            let detached = Locked<DetachedContext?>(nil)
            try await withMartlet(options) { martlet in
                let context = try await martlet.connect(way)
                #expect(context.facts.user == (asAnother ? "guest" : "root"))
                _ = Task {
                    try await context.run("cd /tmp; while [ ! -e go ]; do sleep 0.05; done; echo went; sleep 1000")
                }
                await eventually { try await context.status().running == 1 }
                let value = try await context.detach(lease: .seconds(60))
                detached.withLock { $0 = value }
            }
            let value = try #require(detached.withLock { $0 })
            _ = try await machine.run("touch /tmp/go")
            let log = OutputLog()
            options.onOutput = log.options.onOutput
            try await withMartlet(options) { martlet in
                let context = try await martlet.attach(value, through: way)
                #expect(context.facts.user == (asAnother ? "guest" : "root"))
                #expect(try await context.status().running == 1)
                await eventually { log.line(with: "went")?.route == context.route }
                #expect(try await context.run("echo again").lines == ["again"])
            }
            await eventually { machine.programs().isEmpty }
        }
    }
}
