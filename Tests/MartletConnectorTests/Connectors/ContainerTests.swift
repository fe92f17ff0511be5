import Foundation
import Martlet
import MartletPython
import MartletTestKit
import MartletTestSupport
import Testing

/// podman and docker, the real ones.
@Suite(.leakChecked) struct ContainerTests {
    enum Engine: String, Sendable, CaseIterable {
        case podman, docker

        var box: Box { self == .podman ? .podman : .docker }

        func container(_ name: String) -> ContainerConnector { ContainerConnector(name, program: rawValue) }

        /// A fresh one with the machine's own files.
        var freshHost: ContainerConnector {
            switch self {
            case .podman: .podman(image: "/:O", options: ["--network=none", "--rootfs"])
            case .docker:
                .docker(
                    image: "shell:1",
                    options: ["--network=none"] + ["usr", "etc", "opt"].flatMap { ["-v", "/\($0):/\($0):ro"] })
            }
        }

        func fresh(_ image: String) -> ContainerConnector {
            var connector = ContainerConnector(image, isFresh: true, program: rawValue)
            connector.options = ["--network=none", "--pull=never"]
            return connector
        }
    }

    private static let podmanWorks = Task { await Box.podman.works }
    private static let dockerWorks = Task { await Box.docker.works }

    /// What there is, running or not.
    private func names(_ engine: Engine, _ machine: ThrowawayMachine) async throws -> [String] {
        try await machine.run("\(engine.rawValue) ps -a --format '{{.Names}}'").output.split(separator: "\n")
            .map(String.init).sorted()
    }

    private func runningContainer(_ engine: Engine) async throws {
        try await withBoxes(engine.box) { root, machine in
            let host = try await root.connect(engine.container("host"))
            #expect(host.route.steps.last == "\(engine.rawValue):host")
            #expect(host.facts.hostname == "host")
            #expect(host.facts.userID == 0)
            #expect(try await host.call(Add(a: 1, b: 2)) == 3)
            #expect(try await host.call(Echo(value: "\u{0}\u{4}\r\nü")) == "\u{0}\u{4}\r\nü")
            let bytes = pattern(3 << 20)
            #expect(try await host.call(Echo(value: bytes)) == bytes)
            #expect(try await host.connect(.local).call(Add(a: 1, b: 2)) == 3)
            #expect(try await root.connect(engine.container("host")).timings.wasCached)
            let python = try await root.connect(engine.container("host"), runtime: .python)
            #expect(try await python.call("platform.node") == "host")
            #expect(python.facts.interpreter?.contains(try await python.call("platform.python_version")) == true)

            var other = engine.container("host")
            other.user = "nobody"
            other.directory = "/usr"
            other.environment = ["A": "b c", "B": "$A"]
            let nobody = try await root.connect(other)
            #expect(nobody.route.steps.last == "\(engine.rawValue):nobody@host")
            #expect(try await nobody.run("id -un; pwd; echo \"$A.$B\"").lines == ["nobody", "/usr", "b c.$A"])

            let manager: NamespaceConnector.Manager = engine == .docker ? .docker : .podman
            let entered = try await root.connect(.nsenter(leaderOf: "host", in: manager))
            #expect(entered.route.steps.last == "nsenter:\(engine.rawValue):host")
            #expect(entered.facts.hostname == "host")
            let none = try await expectError(.unreachable) {
                try await root.connect(.nsenter(leaderOf: "nosuch", in: manager))
            }
            #expect(none.message == "the container nosuch does not run, or there is none")
            await entered.close()

            // What an agent runs in a container ends with it.
            let marker = makeMarker()
            let run = Task { try await host.run("(trap '' TERM; sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2 }
            // Not so a container that it has made for others.
            let maker = try await root.connect(.local)
            let make = "\(engine.rawValue) run -d --rm --name made --network none tiny:1 sleep 100000"
            #expect(try await maker.run(make).succeeded)
            await maker.close()
            #expect(try await machine.text("\(engine.rawValue) exec made echo runs") == "runs")
            #expect(try await machine.run("\(engine.rawValue) kill made").exitCode == 0)
            await host.close()
            await #expect(throws: MartletError.self) { try await run.value }
            await eventually { ProcessTable.carrying(marker).isEmpty }
            await nobody.close()
            await root.close()
            await eventually { machine.agentsInContainers().isEmpty }
            await eventually { try await names(engine, machine) == ["bare", "host", "tiny"] }
        }
    }

    private func freshContainer(_ engine: Engine) async throws {
        try await withBoxes(engine.box) { root, machine in
            let before = try await names(engine, machine)
            let fresh = try await root.connect(engine.freshHost)
            #expect(fresh.route.steps.last?.hasPrefix("\(engine.rawValue)-run:") == true)
            #expect(try await fresh.call(Add(a: 1, b: 2)) == 3)
            #expect(try await names(engine, machine).count == before.count + 1)
            // The first process is not the agent, so that this can be ended.
            #expect(fresh.processID != 1)
            let other = try await root.connect(engine.freshHost)
            #expect(other.facts.hostname != fresh.facts.hostname)
            await other.close()
            #expect(try await names(engine, machine).count == before.count + 1)
            kill(try #require(agent(machine)).pid, SIGKILL)
            let error = try await expectError(.contextLost) { try await fresh.run("sleep 60") }
            #expect(error.route == fresh.route)
            await eventually { try await names(engine, machine) == before }

            // A program that is linked to a C library, where there is none: nothing stays of that failure.
            var options = ConnectOptions()
            // The whole image goes to one place after the other.
            options.deadline = .seconds(180)
            let failure = try await expectError(.imageDied) { [options] in
                try await root.connect(engine.fresh("tiny:1"), options: options)
            }
            #expect(failure.advice?.contains("static-executable") == true, "\(failure)")
            await eventually { try await names(engine, machine) == before }
        }
    }

    private func agent(_ machine: ThrowawayMachine) -> ProcessTable.Entry? { machine.agentsInContainers().first }

    private func failures(_ engine: Engine) async throws {
        try await withBoxes(engine.box) { root, machine in
            let program = engine.rawValue
            func error(_ code: MartletError.Code, _ connector: ContainerConnector, _ words: String) async throws {
                let error = try await expectError(code) { try await root.connect(connector) }
                #expect(error.message.contains(words), "\(error)")
                #expect(error.detail?.isEmpty == false, "\(error)")
                #expect(error.route.steps.last == connector.label)
            }
            try await error(.unreachable, engine.container("nosuch"), "there is no container nosuch")
            try await error(.noShell, engine.container("bare"), "there is no sh in the container bare")
            try await error(.noShell, engine.fresh("bare:1"), "there is no sh in the image bare:1")
            try await error(.unreachable, engine.fresh("nosuch:1"), "there is no image nosuch:1")
            var other = engine.container("tiny")
            other.user = "joe"
            try await error(.connectorFailed, other, "there is no user joe in the container tiny")
            other = engine.container("tiny")
            other.directory = "/nosuch"
            try await error(.connectorFailed, other, "there is no directory /nosuch in the container tiny")
            #expect(try await machine.text("\(program) stop -t 0 tiny") == "tiny")
            try await error(.unreachable, engine.container("tiny"), "the container tiny does not run")
            for name in ["", "-it", "a\nb"] {
                try await expectError(.misuse) { try await root.connect(engine.container(name)) }
                try await expectError(.misuse) { try await root.connect(engine.fresh(name)) }
            }
            other = engine.container("host")
            other.environment = ["A=B": "c"]
            try await expectError(.misuse) { try await root.connect(other) }
            if engine == .docker {
                // What is frozen outlives its machine.
                #expect(try await machine.text("docker pause host") == "host")
                let paused = await #expect(throws: MartletError.self) {
                    try await root.connect(engine.container("host"))
                }
                #expect(try await machine.text("docker unpause host") == "host")
                #expect(paused?.code == .unreachable && paused?.message == "the container host is paused")
                other = engine.container("host")
                other.programOptions = ["--host", "unix:///nosuch"]
                try await error(.unreachable, other, "the daemon of docker does not answer")
                var options = LocalOptions()
                options.user = "nobody"
                _ = try await machine.run(
                    "chmod 755 /run; chmod 660 /run/docker.sock; chown root:root /run/docker.sock")
                let nobody = try await root.connect(.local(options))
                let refused = try await expectError(.authenticationFailed) { try await nobody.connect(.docker("host")) }
                #expect(refused.message == "we may not speak to the daemon of docker")
                #expect(refused.phase == .authenticate)
            }
            await eventually { machine.agentsInContainers().isEmpty }
        }
    }

    /// - Parameter isThrough: the program is started by a context on the machine, and not by the controller itself.
    private func killed(_ engine: Engine, isThrough: Bool) async throws {
        try await withBoxes(engine.box) { root, machine in
            await root.close()
            try await TestFolder.with { folder in
                let before = try await names(engine, machine)
                let marker = makeMarker()
                let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
                var environment = ["MARTLET_TEST_BOX": engine.rawValue, "MARTLET_TEST_BOX_MARKER": marker]
                let prefix = machine.commandPrefix
                if isThrough {
                    environment["MARTLET_TEST_BOX_PREFIX"] = prefix.joined(separator: "\u{1}")
                } else {
                    let words = (prefix + [engine.rawValue]).map { "'\($0)'" }.joined(separator: " ")
                    try folder.writeProgram(engine.rawValue, "exec \(words) \"$@\"")
                    environment["MARTLET_TEST_BOX_PROGRAM"] = folder.file(engine.rawValue)
                }
                let controller = Task { [environment] in
                    try await runProgram(
                        [executable, "--testing-library", "swift-testing", "--filter", "ControllerOfBoxToBeKilled"],
                        environment: environment, within: .seconds(180))
                }
                let isUp = await eventually(within: .seconds(120)) {
                    ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 4
                }
                #expect(try await names(engine, machine).count == before.count + 1)
                let victim = ProcessTable.carrying(marker).first { $0.commandLine.first == executable }
                victim?.send(signal: SIGKILL)
                let result = try await controller.value
                #expect(isUp && result.signal == SIGKILL, "\(result)")
                await eventually { ProcessTable.carrying(marker).isEmpty }
                let isGone = await eventually { try await names(engine, machine) == before }
                if !isGone { print(try await machine.text("\(engine.rawValue) ps -a; ps -ef")) }
                await eventually { machine.agentsInContainers().isEmpty }
            }
        }
    }

    /// What a context on the way leaves when it is killed: nothing, though nobody is left there to remove the container.
    private func killedOnTheWay(_ engine: Engine) async throws {
        try await withBoxes(engine.box) { root, machine in
            let before = try await names(engine, machine)
            let marker = makeMarker()
            let fresh = try await root.connect(engine.freshHost)
            let command = Task { try await fresh.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
            await eventually(within: .seconds(60)) {
                ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2
            }
            #expect(try await names(engine, machine).count == before.count + 1)
            _ = try await machine.run("kill -9 \(root.processID)")
            let error = await #expect(throws: MartletError.self) { try await command.value }
            #expect(error?.code == .contextLost)
            await eventually(within: .seconds(30)) { ProcessTable.carrying(marker).isEmpty }
            await eventually(within: .seconds(30)) { try await names(engine, machine) == before }
            await eventually { machine.agentsInContainers().isEmpty }
        }
    }

    // MARK: podman

    @Test(.enabled("needs podman, runc and busybox-static, and they work") { await podmanWorks.value })
    func `A running container of podman's`() async throws { try await runningContainer(.podman) }

    @Test(.enabled("needs podman, runc and busybox-static, and they work") { await podmanWorks.value })
    func `A fresh container of podman's is removed at the end`() async throws { try await freshContainer(.podman) }

    @Test(.enabled("needs podman, runc and busybox-static, and they work") { await podmanWorks.value })
    func `podman refuses: each reason has its words`() async throws { try await failures(.podman) }

    @Test(
        .enabled("needs podman, runc and busybox-static, and they work") { await podmanWorks.value },
        arguments: [false, true])
    func `A fresh container of podman's ends with a controller that is killed`(through: Bool) async throws {
        try await killed(.podman, isThrough: through)
    }

    @Test(.enabled("needs podman, runc and busybox-static, and they work") { await podmanWorks.value })
    func `A fresh container of podman's ends with a context on the way that is killed`() async throws {
        try await killedOnTheWay(.podman)
    }

    // MARK: docker

    @Test(.enabled("needs docker.io and busybox-static, and they work") { await dockerWorks.value })
    func `A running container of docker's`() async throws { try await runningContainer(.docker) }

    @Test(.enabled("needs docker.io and busybox-static, and they work") { await dockerWorks.value })
    func `A fresh container of docker's is removed at the end`() async throws { try await freshContainer(.docker) }

    @Test(.enabled("needs docker.io and busybox-static, and they work") { await dockerWorks.value })
    func `docker refuses: each reason has its words`() async throws { try await failures(.docker) }

    @Test(
        .enabled("needs docker.io and busybox-static, and they work") { await dockerWorks.value },
        arguments: [false, true])
    func `A fresh container of docker's ends with a controller that is killed`(through: Bool) async throws {
        try await killed(.docker, isThrough: through)
    }

    @Test(.enabled("needs docker.io and busybox-static, and they work") { await dockerWorks.value })
    func `A fresh container of docker's ends with a context on the way that is killed`() async throws {
        try await killedOnTheWay(.docker)
    }
}

/// The body of a process that `ContainerTests` starts and kills.
struct ControllerOfBoxToBeKilled {
    private static let environment = ProcessInfo.processInfo.environment

    @Test(.enabled(if: environment["MARTLET_TEST_BOX"] != nil, "is started by another test"))
    func `Commands run for ever in containers`() async throws {
        let marker = Self.environment["MARTLET_TEST_BOX_MARKER"] ?? ""
        let engine = try #require(ContainerTests.Engine(rawValue: Self.environment["MARTLET_TEST_BOX"] ?? ""))
        let prefix = Self.environment["MARTLET_TEST_BOX_PREFIX"]?.split(separator: "\u{1}").map(String.init)
        var ways = [engine.freshHost, engine.container("host")]
        if let program = Self.environment["MARTLET_TEST_BOX_PROGRAM"] {
            for index in ways.indices { ways[index].program = program }
        }
        try await withMartlet { [ways] martlet in
            let middle: Context
            if let prefix {
                middle = try await martlet.connect(.command(prefix + ["/bin/sh", "-c"]))
            } else {
                middle = try await martlet.connect(.local)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for way in ways {
                    let target = prefix == nil ? try await martlet.connect(way) : try await middle.connect(way)
                    group.addTask { _ = try await target.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
                }
                try await group.waitForAll()
            }
        }
    }
}
