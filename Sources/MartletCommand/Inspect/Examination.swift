import Martlet

/// What `martlet doctor` does: this side, the connect step by step, then a little of everything that a context is for.
struct Examination: Sendable {
    let host: HostName
    let wayIn: WayIn
    let agent: String?
    let session: Session

    private var list: Checklist { Checklist(output: session.output) }

    func run() async throws -> Int32 {
        let start = ContinuousClock.now
        list.heading("This side")
        let image: AgentImage
        do {
            image = try AgentImage.find(agent)
        } catch {
            list.step(.bad, "agent", nil, "\(error)")
            return ExitStatus.usage
        }
        let hasWay = await checkThisSide(image)
        guard hasWay, !Task.isCancelled else { return ExitStatus.failed }

        var options = MartletOptions()
        options.images = image.images
        options.onOutput = session.contextOutput
        let status = try await withMartlet(options) { controller in
            do {
                let context = try await connect(controller)
                list.heading("Using it")
                try await use(context)
                return ExitStatus.success
            } catch let error as MartletError {
                tell(error)
                return ExitStatus.unreachable
            }
        }
        if status == ExitStatus.success {
            let time = Format.duration(ContinuousClock.now - start)
            session.output.say(session.output.style.good("\(host.label) is fine (\(time) in all)"))
        }
        return status
    }

    // MARK: This side

    private func checkThisSide(_ image: AgentImage) async -> Bool {
        do {
            let file = try ExecutableFile(path: image.path)
            let kind = file.isStatic ? "static" : "dynamic: runs only where the C library is the same"
            list.step(
                file.isStatic ? .good : .note,
                "agent",
                nil,
                "\(image.path): \(Format.bytes(file.byteCount)), Linux \(file.machine), \(kind); \(image.origin)"
            )
        } catch {
            list.step(.bad, "agent", nil, "\(error)")
            return false
        }
        guard wayIn.startsSSHHere(to: host) else { return true }
        do {
            return try await withMartlet { controller in
                let here = try await controller.connect(.local)
                let path = try await here.run("command -v ssh").lines.first
                guard let path else {
                    list.step(
                        .bad, "ssh", nil, "there is no ssh in PATH\ntry: install OpenSSH's client (openssh-client)")
                    return false
                }
                let version = try await here.run(executable: path, arguments: ["-V"]).errorText
                list.step(.good, "ssh", nil, "\(path): \(version.split(separator: "\n").first ?? "says no version")")
                return true
            }
        } catch {
            list.step(.bad, "local context", nil, "\(error)")
            return false
        }
    }

    // MARK: The connect

    private func connect(_ controller: Controller) async throws -> Context {
        let phases: [ConnectPhase] = [.queue, .reach, .authenticate, .boot, .handshake]
        let hops = wayIn.route(to: host).hops
        list.heading(Self.heading(hops, 0))
        list.waiting(for: "waiting for the host")
        let context = try await wayIn.connect(controller, to: host) { [list] route, phase, time in
            let index = route.steps.count - 1
            let isLocal = hops[index].kind == "local"
            list.step(
                .good, phase.description, time,
                isLocal && phase == .reach ? "the process was started" : Self.meaning(phase))
            if let next = phases.firstIndex(of: phase).map({ $0 + 1 }), next < phases.count {
                list.waiting(for: phases[next].description)
            } else if phase == .handshake, index + 1 < hops.count {
                list.heading(Self.heading(hops, index + 1))
                list.waiting(for: "waiting for the host")
            }
        }
        let timings = context.timings
        list.step(.good, "connected", timings.total, Self.sent(timings, isLocal: host.isLocal))
        return context
    }

    private static func heading(_ hops: [ConnectorSpec], _ index: Int) -> String {
        let hop = hops[index]
        let what = hop.kind == "local" ? "Starting a local context" : "Connecting to \(hop.label)"
        return hops.count == 1 ? what : "\(what) (hop \(index + 1) of \(hops.count))"
    }

    private static func meaning(_ phase: ConnectPhase) -> String {
        switch phase {
        case .queue: "waited for a turn: connects are paced"
        case .reach: "the machine answers"
        case .authenticate: "it is the right machine, and lets us in"
        case .boot: "the agent runs there"
        case .handshake: "both sides speak the same protocol"
        }
    }

    private static func sent(_ timings: ConnectTimings, isLocal: Bool) -> String {
        if isLocal { return "nothing is sent to a local context" }
        if timings.wasCached { return "the agent was in the far cache already: nothing was sent" }
        return "the agent was not in the far cache: \(Format.bytes(timings.bytesSent)) were sent"
    }

    private func tell(_ error: MartletError) {
        var text = error.message
        if let detail = error.detail, !detail.isEmpty {
            text += "\nit said:\n" + detail.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
        }
        if let advice = error.advice { text += "\ntry: \(advice)" }
        list.step(.bad, error.phase?.description ?? "\(error.code)", nil, text)
    }

    // MARK: The context

    private func use(_ context: Context) async throws {
        let facts = context.facts
        let memory = Format.bytes(Int(clamping: facts.memory))
        list.step(
            .good,
            "facts",
            nil,
            "\(facts.hostname): \(facts.distribution ?? facts.system), \(facts.system) \(facts.release) "
                + "\(facts.architecture), \(Format.count(facts.processors, "processor")), \(memory); "
                + "user \(facts.user), process \(facts.processID)"
        )
        _ = try await context.ping()
        var trips: [Duration] = []
        for _ in 0..<11 { trips.append(try await context.ping()) }
        list.step(.good, "round trip", trips.sorted()[5], "to the agent and back, the median of 11")

        try await callTask(in: context)
        let start = ContinuousClock.now
        let result = try await context.run("exit 0")
        let time = ContinuousClock.now - start
        list.step(
            result.succeeded ? .good : .bad,
            "command",
            time,
            result.succeeded ? "sh -c 'exit 0'" : "sh -c 'exit 0': \(result.termination)"
        )
        let place = try await context.run("readlink /proc/$PPID/exe").lines.first
        list.step(.good, "runs from", nil, Self.describe(place, isLocal: host.isLocal))
        if !host.isLocal {
            let cache = try await FarCache.look(in: context, removing: false)
            let content = "\(Format.count(cache.fileCount, "file")), \(Format.bytes(cache.byteCount))"
            list.step(.good, "cache", nil, "\(cache.path): \(content)")
        }
        let closing = ContinuousClock.now
        await context.close()
        list.step(.good, "close", ContinuousClock.now - closing, "the agent is gone")
    }

    /// A typed call: it finds the task's type in the far program, and carries a value each way.
    private func callTask(in context: Context) async throws {
        let start = ContinuousClock.now
        do {
            let far = try await context.call(ReadFacts())
            let time = ContinuousClock.now - start
            let isSame = far.processID == context.facts.processID && far.hostname == context.facts.hostname
            list.step(
                isSame ? .good : .bad, "typed call", time,
                isSame ? "a task of the agent ran and answered" : "another process answered: \(far.processID)")
        } catch let error as MartletError where error.code == .taskNotRemote {
            list.step(.note, "typed call", nil, "the agent has no task of ours: it is another build of Martlet")
        }
    }

    private static func describe(_ place: String?, isLocal: Bool) -> String {
        guard let place else { return "unknown: /proc is not mounted there" }
        if isLocal { return place }
        if place.hasPrefix("/memfd:") { return "memory, without a name" }
        if place.hasSuffix(" (deleted)") { return "\(place.dropLast(10)), removed once it ran" }
        return "\(place), kept for the next connect"
    }
}
