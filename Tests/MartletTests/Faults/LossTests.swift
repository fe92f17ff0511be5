import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Runs a command for ever, here and one context below, as a program that is to be killed would.
struct KeepRunning: RemoteTask {
    var marker: String

    func run(in context: RemoteContext) async throws {
        let below = try await context.connect(.local)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for target in [below, try await below.connect(.local)] {
                group.addTask { _ = try await target.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
            }
            try await group.waitForAll()
        }
    }
}

@Suite(.leakChecked) struct LossTests {
    /// Waits until all is gone that carries the marker, within the three seconds that are promised.
    private func expectEnd(of marker: String, within limit: Duration = .seconds(3)) async {
        let ended = await eventually(within: limit, "the end of everything") { ProcessTable.carrying(marker).isEmpty }
        if !ended { Issue.record("left: \(ProcessTable.carrying(marker))") }
    }

    /// Starts commands at two depths below `context`, and waits until they run.
    private func startCommands(_ marker: String, below context: Context) async -> Task<Void, any Error> {
        let call = Task { try await context.call(KeepRunning(marker: marker)) }
        await eventually(within: .seconds(20)) {
            ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 4
        }
        return call
    }

    @Test(arguments: [SIGKILL, SIGTERM, SIGHUP])
    func `A context that a signal ends takes its contexts and commands along`(signal: Int32) async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            let call = await startCommands(marker, below: context)
            let own = Task { try await context.run("(trap '' TERM; sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 6 }
            kill(context.processID, signal)
            let time = await Duration.of {
                await #expect(throws: MartletError.self) { try await call.value }
                await #expect(throws: MartletError.self) { try await own.value }
            }
            #expect(time < .seconds(20))
            await expectEnd(of: marker)
        }
    }

    // One after the other: each that is caught has a debugger of its own.
    @Test(.serialized, arguments: [SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE], [true, false])
    func `A signal of a crash ends a context also if it was only sent`(signal: Int32, catching: Bool) async throws {
        let log = OutputLog()
        var patient = log.options
        // The debugger stops the process for as long as it looks.
        patient.heartbeatLimit = .seconds(90)
        try await withMartlet(patient) { martlet in
            var options = LocalOptions()
            // With this the run-time catches such signals, to print where the crash was.
            options.environment["SWIFT_BACKTRACE"] = "enable=\(catching ? "yes" : "no"),color=no,threads=crashed"
            let context = try await martlet.connect(.local(options))
            let marker = makeMarker()
            let command = Task { try await context.run("(trap '' TERM; sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2 }
            #expect(catches(signal, context.processID) == catching)
            kill(context.processID, signal)
            let time = await Duration.of {
                let error = await #expect(throws: MartletError.self) { try await command.value }
                #expect(error?.code == .contextLost)
                #expect(
                    error?.message.contains("ended by signal \(SignalName.of(signal))") == true,
                    "\(String(describing: error))")
            }
            #expect(time < (catching ? .seconds(60) : .seconds(10)), "\(time)")
            if catching { await eventually { log.line(with: "crashed") != nil } }
            await expectEnd(of: marker, within: .seconds(20))
        }
    }

    /// Whether a process has a handler for a signal.
    private func catches(_ signal: Int32, _ process: Int32) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let mask = line.flatMap { UInt64($0.split(separator: "\t").last ?? "", radix: 16) } ?? 0
        return mask & 1 << (UInt64(signal) - 1) != 0
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `A controller that is killed takes everything along, at every depth, also behind ssh`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            let marker = makeMarker()
            let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
            let controller = Task {
                try await runProgram(
                    [executable, "--testing-library", "swift-testing", "--filter", "ControllerToBeKilled"],
                    environment: [
                        markerVariable: marker, "MARTLET_TEST_HOST": sshd.hostAlias(.pipe),
                        "MARTLET_TEST_CONFIG": sshd.configPath,
                    ],
                    within: .seconds(120)
                )
            }
            await eventually(within: .seconds(60)) {
                ProcessTable.carrying("sleep \(marker)").count >= 0
                    && ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 6
            }
            let victim = try #require(
                ProcessTable.carrying(marker).first { $0.commandLine.contains("ControllerToBeKilled") })
            victim.send(signal: SIGKILL)
            #expect(try await controller.value.signal == SIGKILL)
            await expectEnd(of: marker)
        }
    }

    @Test func `A controller that was stopped for too long says that this was the reason`() async throws {
        let marker = makeMarker()
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
        let controller = Task {
            try await runProgram(
                [executable, "--testing-library", "swift-testing", "--filter", "ControllerToBeStopped"],
                environment: [markerVariable: marker], within: .seconds(60))
        }
        func sleeps() -> Bool { ProcessTable.carrying(marker).contains { $0.name == "sleep" } }
        await eventually(within: .seconds(30)) { sleeps() }
        let stopped = try #require(
            ProcessTable.carrying(marker).first { $0.commandLine.contains("ControllerToBeStopped") })
        stopped.send(signal: SIGSTOP)
        // The context takes its controller for lost, and ends what it runs.
        await eventually { !sleeps() }
        stopped.send(signal: SIGCONT)
        let result = try await controller.value
        #expect(result.exitCode == 0, "\(result.output) \(result.errors)")
        let said = result.output.split(separator: "\n").first { $0.hasPrefix("it said: ") }
        #expect(
            said?.firstMatch(of: /had stood still for [1-9]\d* seconds?: it was stopped/) != nil, "\(result.output)")
        await expectEnd(of: marker)
    }

    @Test func `A stopped context is lost after the heartbeat limit, and ended`() async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(1)
        try await withLocalContext(options) { _, context in
            let marker = makeMarker()
            let command = Task { try await context.run("sleep \(marker)") }
            await eventually { !ProcessTable.carrying(marker).isEmpty }
            let entry = try #require(ProcessTable.entry(of: context.processID))
            entry.send(signal: SIGSTOP)
            let time = await Duration.of {
                await #expect(throws: MartletError.self) { try await command.value }
            }
            #expect(time < .seconds(10) && time > .milliseconds(500), "\(time)")
            let error = try await expectError(.contextLost) { try await context.call(Nothing()) }
            #expect(error.route == context.route)
            await eventually { !entry.isAlive }
            await expectEnd(of: marker, within: .seconds(10))
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `A context that is stopped behind ssh is lost, and ends when it goes on`() async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(1)
        try await withSSHContext(options) { context in
            let marker = makeMarker()
            let command = Task { try await context.run("sleep \(marker)") }
            await eventually { !ProcessTable.carrying(marker).isEmpty }
            let entry = try #require(ProcessTable.entry(of: context.processID))
            entry.send(signal: SIGSTOP)
            let time = await Duration.of {
                await #expect(throws: MartletError.self) { try await command.value }
            }
            #expect(time < .seconds(10), "\(time)")
            entry.send(signal: SIGCONT)
            await eventually { !entry.isAlive }
            await expectEnd(of: marker, within: .seconds(10))
        }
    }

    @Test(arguments: Way.available.filter { $0 != .relay })
    func `A relay that is stopped is lost with all below it, and nothing survives`(way: Way) async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(1)
        try await withContext(way, options) { relay in
            let marker = makeMarker()
            let below = try await relay.connect(.local)
            let call = await startCommands(marker, below: below)
            let own = Task { try await relay.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 6 }
            let contexts = try [relay, below].map { try #require(ProcessTable.entry(of: $0.processID)) }
            contexts[0].send(signal: SIGSTOP)
            for error in [
                await #expect(throws: MartletError.self) { try await call.value },
                await #expect(throws: MartletError.self) { try await own.value },
            ] {
                #expect(error?.code == .contextLost)
                #expect(
                    error?.message.contains("nothing was heard for 1 second") == true, "\(String(describing: error))")
            }
            try await expectError(.contextLost) { try await below.call(Nothing()) }
            // Nobody else ends what hangs below a stopped parent: its own heartbeat does.
            await eventually { !contexts[1].isAlive }
            // Behind ssh the stopped one is out of reach until it goes on.
            if way == .ssh { contexts[0].send(signal: SIGCONT) }
            await eventually { !contexts[0].isAlive }
            await expectEnd(of: marker, within: .seconds(10))
        }
    }

    @Test(.enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil && hasSSHServer })
    func `A network that is cut without a word ends both sides within the heartbeat limit`() async throws {
        try await withTestNetwork { network in
            let host = network.bastion
            var patient = OutputLog().options
            patient.heartbeatLimit = .seconds(120)
            try await withMartlet(patient) { other in
                // This one shows that nothing but the limit does it.
                let waiting = try await other.connect(.ssh(host.alias, configuration: network.configPath))
                var options = OutputLog().options
                options.heartbeatLimit = .seconds(1)
                try await withMartlet(options) { martlet in
                    let context = try await martlet.connect(.ssh(host.alias, configuration: network.configPath))
                    let marker = makeMarker()
                    let command = Task { try await context.run("(trap '' TERM; sleep \(marker)) & sleep \(marker)") }
                    let block = Block(way: .sleeping, started: "/tmp/s", release: "/tmp/r")
                    let call = Task { try await context.call(block) }
                    let late = Task { try await waiting.run("sleep 1; echo late").lines }
                    await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2 }
                    try await network.cut(host)
                    let time = try await Duration.of {
                        let error = await #expect(throws: MartletError.self) { try await command.value }
                        #expect(
                            error?.message.contains("nothing was heard for 1 second") == true,
                            "\(String(describing: error))")
                        try await expectError(.contextLost) { try await call.value }
                    }
                    #expect(time < .seconds(10), "\(time)")
                    // The far side has heard nothing, and ends by itself.
                    await expectEnd(of: marker, within: .seconds(15))
                    await eventually {
                        let agents = host.machine.programs().filter {
                            $0.commandLine.first?.hasPrefix("martlet") == true && $0.name != "martlet-guard"
                        }
                        return agents.count == 1
                    }
                    try await network.heal(host)
                    #expect(try await late.value == ["late"])
                }
                #expect(try await waiting.call(Add(a: 1, b: 2), deadline: .seconds(30)) == 3)
            }
        }
    }

    /// What of the two pipes between the controller and an agent is closed, and by whom it is seen first.
    enum Half: String, CaseIterable {
        case whatTheControllerReads
        case whatTheControllerWrites
        case whatTheAgentReads
        case whatTheAgentWrites
    }

    @Test(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "needs python3"), arguments: Half.allCases)
    func `A link of which one half is closed ends whole`(half: Half) async throws {
        try await TestFolder.with { folder in
            // Stands between the two, and closes one of its four ends when told to.
            let script = """
                import os, select, subprocess, sys
                trigger, half = sys.argv[1:3]
                child = subprocess.Popen(sys.argv[3:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                ways = {0: child.stdin.fileno(), child.stdout.fileno(): 1}
                ends = {"whatTheControllerReads": 1, "whatTheControllerWrites": 0,
                        "whatTheAgentReads": child.stdin.fileno(), "whatTheAgentWrites": child.stdout.fileno()}
                def close(source):
                    for end in (source, ways.pop(source)):
                        try: os.close(end)
                        except OSError: pass
                while ways:
                    if half and os.path.exists(trigger):
                        end, half = ends[half], None
                        # The other end of this direction stays open, and is not read.
                        source = next(s for s, t in ways.items() if end in (s, t))
                        ways = {s: t for s, t in ways.items() if s != source}
                        os.close(end)
                        continue
                    for source in select.select(list(ways), [], [], 0.02)[0]:
                        try:
                            data = os.read(source, 65536)
                            if not data: close(source)
                            while data: data = data[os.write(ways[source], data):]
                        except OSError: close(source)
                child.wait()
                """
            var options = OutputLog().options
            options.heartbeatLimit = .seconds(3)
            try await withMartlet(options) { martlet in
                let proxy = ["/usr/bin/python3", "-c", script, folder.file("trigger"), half.rawValue]
                let command = ["/usr/bin/env", "XDG_CACHE_HOME=\(sharedCache)"] + proxy + ["/bin/sh", "-c"]
                let context = try await martlet.connect(.command(command, label: "half"))
                let marker = makeMarker()
                let call = await startCommands(marker, below: context)
                let entry = try #require(ProcessTable.entry(of: context.processID))
                folder.touch("trigger")
                try await expectError(.contextLost) { try await call.value }
                await eventually { !entry.isAlive }
                await expectEnd(of: marker, within: .seconds(15))
                try await expectError(.contextLost) { try await context.call(Nothing()) }
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `A connection that breaks fails what is under way, and the far side ends`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let context = try await martlet.connect(sshd.connector())
                let other = try await martlet.connect(.local)
                let marker = makeMarker()
                let call = await startCommands(marker, below: context)
                sshd.dropConnections()
                let error = await #expect(throws: MartletError.self) { try await call.value }
                #expect(error?.code == .contextLost)
                await expectEnd(of: marker)
                await eventually { sshd.programs().isEmpty }
                #expect(try await other.call(Add(a: 1, b: 1)) == 2)
                let again = try await martlet.connect(sshd.connector())
                #expect(try await again.call(Add(a: 1, b: 1)) == 2)
            }
        }
    }
}

/// The body of a process that `LossTests` starts and kills.
private let markerVariable = "MARTLET_TEST_MARKER"

struct ControllerToBeKilled {
    @Test(.enabled(if: ProcessInfo.processInfo.environment[markerVariable] != nil, "is started by another test"))
    func `Commands run for ever at several depths`() async throws {
        let environment = ProcessInfo.processInfo.environment
        let marker = environment[markerVariable] ?? ""
        let far = SSHConnector.ssh(
            environment["MARTLET_TEST_HOST"] ?? "", configuration: environment["MARTLET_TEST_CONFIG"])
        try await withMartlet { martlet in
            let local = try await martlet.connect(.local)
            let below = try await local.connect(.local)
            let ssh = try await below.connect(far)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for target in [local, below, ssh] {
                    group.addTask { _ = try await target.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
                }
                try await group.waitForAll()
            }
        }
    }
}

/// Not a test of its own: runs in a process that ``LossTests`` starts and stops.
struct ControllerToBeStopped {
    @Test(.enabled(if: ProcessInfo.processInfo.environment[markerVariable] != nil, "is started by another test"))
    func `A command runs for ever`() async throws {
        var options = MartletOptions()
        options.heartbeatLimit = .seconds(1)
        try await withMartlet(options) { martlet in
            let context = try await martlet.connect(.local)
            let error = await #expect(throws: MartletError.self) {
                try await context.run("sleep \(ProcessInfo.processInfo.environment[markerVariable] ?? "")")
            }
            print("it said: \(error?.message ?? "nothing")")
        }
    }
}
