import MartletLink
import MartletReactor
import MartletWire

extension ContextRuntime {
    /// Starts a child of this context.
    ///
    /// Connects at one door are paced. A server that turned us away because too many knocked is tried again, as long as
    /// the deadline allows. So is, once and carefully, a machine whose cached image does not start.
    ///
    /// - Parameters:
    ///   - onNumber: told of the child's number before anything comes from it, on the polling thread.
    ///   - onProgress: told of each phase once; it may block.
    /// - Throws: ``MartletError``, or `CancellationError`.
    func connect(
        _ connector: any Connector,
        _ options: ConnectOptions,
        ask: PromptAnswering?,
        onNumber: @escaping @Sendable (UInt32) -> Void = { _ in },
        onProgress: @escaping @Sendable (ConnectPhase, Duration) -> Void
    ) async throws -> ConnectAttempt.Success {
        let phases = PhaseReport(reactor, onProgress)
        do {
            var success = try await connect(connector, options, ask, onNumber, phases)
            success.timings.phases = await phases.finish()
            return success
        } catch {
            _ = await phases.finish()
            throw error
        }
    }

    private func connect(
        _ connector: any Connector,
        _ options: ConnectOptions,
        _ ask: PromptAnswering?,
        _ onNumber: @escaping @Sendable (UInt32) -> Void,
        _ phases: PhaseReport
    ) async throws -> ConnectAttempt.Success {
        let here = route.appending(connector.label)
        try Self.check(title: options.title, here)
        return try await pacer.withTurn(at: connector.door) {
            try Task.checkCancellation()
            let started = Reactor.now
            let deadline = started + options.deadline.clampedNanoseconds
            phases.left(.queue)
            var tries = 0
            var careless: MartletError?
            var connector = connector
            var isAlternative = false
            while true {
                tries += 1
                let (result, known, isWorthCare) = await attempt(
                    connector, options, until: deadline, here, isCareful: careless != nil, ask, onNumber
                ) { phase, _ in phases.left(phase) }
                switch result {
                case .success(let success): return success
                case .failure(var error):
                    try Task.checkCancellation()
                    if let known, !isAlternative, let other = connector.alternative(after: known) {
                        (connector, isAlternative) = (other, true)
                        continue
                    }
                    if isWorthCare, careless == nil, deadline > Reactor.now {
                        careless = error
                        continue
                    }
                    if let careless {
                        error.detail = [error.detail, "a first try failed too: \(careless.message)", careless.detail]
                            .compactMap { $0 }.joined(separator: "\n")
                    }
                    let pause = UInt64(tries) * 100_000_000 + UInt64.random(in: 0..<100_000_000)
                    // What is lent was connected with such patience.
                    guard tries < 5, SSHDiagnosis.isTransient(error), !(connector is any LentConnector),
                        deadline > Reactor.now + pause + 1_000_000_000
                    else { throw error }
                    await reactor.sleep(pause)
                }
            }
        }
    }

    private static func check(title: String?, _ route: Route) throws(MartletError) {
        guard let title, title.isEmpty || title.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == 0x2f }) else {
            return
        }
        throw MartletError(.misuse, "a title must not be empty or have slashes or control characters", route: route)
    }

    /// What came of one try; what the connector may learn from a failure; whether the same may succeed with care.
    private typealias Outcome = (
        result: Result<ConnectAttempt.Success, MartletError>, known: ConnectorFailure?, isWorthCare: Bool
    )

    private func attempt(
        _ connector: any Connector,
        _ options: ConnectOptions,
        until deadline: UInt64,
        _ here: Route,
        isCareful: Bool,
        _ ask: PromptAnswering?,
        _ onNumber: @escaping @Sendable (UInt32) -> Void,
        _ onProgress: @escaping @Sendable (ConnectPhase, Duration) -> Void
    ) async -> Outcome {
        if let detached = connector as? DetachedConnector {
            return (await AttachAttempt(detached, options, self, onNumber: onNumber).run(until: deadline), nil, false)
        }
        do {
            let mayAsk = ask != nil || connector.password != nil
            let nonce = BootstrapNonce.random()
            if let lent = connector as? any LentConnector {
                return (try await join(lent, until: deadline) { attempt($0, nil, builds: $1) }, nil, false)
            }
            // What is launched decides whether there is an image to send, and the image is part of what is launched.
            let local: LocalOptions? =
                if case .image(let local) = try connector.launch(Bootstrap()).way { local } else { nil }
            func attempt(
                _ first: FirstStage, _ image: ImageStore.Image?, builds: Set<String>? = nil
            ) -> ConnectAttempt {
                ConnectAttempt(
                    connector,
                    options: options,
                    until: deadline,
                    first: first,
                    image: image,
                    builds: builds,
                    ask: ask,
                    runtime: self,
                    onNumber: onNumber,
                    onProgress: onProgress
                )
            }
            func run(_ first: FirstStage, _ image: ImageStore.Image?, _ script: String) async throws -> Outcome {
                let bootstrap = Bootstrap(script: script, mayAsk: mayAsk)
                let launch =
                    local == nil
                    ? try connector.launch(bootstrap)
                    : .shell(["/bin/sh", "-c", bootstrap.script], options: local ?? LocalOptions())
                let beginning = try await beginning(launch, until: deadline, connector.label)
                let attempt = attempt(first, image)
                let result = await attempt.run(beginning)
                return (result, attempt.failure, attempt.isWorthCare)
            }
            if let script = options.script {
                guard let first = FirstStage(nonce: nonce, policy: .nothing, imageID: "0", isCareful: isCareful) else {
                    fatalError()
                }
                return try await run(first, nil, script.firstStage(nonce: nonce, isCareful: isCareful))
            }
            if let local, !images.isWithoutName {
                guard let first = FirstStage(nonce: nonce, policy: .nothing, imageID: "0") else { fatalError() }
                return (await attempt(first, nil).run(.program(localTemplate(local, nonce), .nothing)), nil, false)
            }
            let image = try images.image()
            let isFolder = image.files.contains { $0.count > 1 }
            guard
                let first = FirstStage(
                    nonce: nonce,
                    // What came here without leaving a name leaves none behind either.
                    policy: local == nil ? options.policy : images.policy,
                    imageID: image.id,
                    usesFolder: isFolder,
                    namesMachine: image.files.count > 1,
                    setsLibraryPath: isFolder && !image.files[0][0].runPath.contains("$ORIGIN"),
                    isCareful: isCareful
                )
            else { throw MartletError(.imageUnusable, "\(image.id) does not name an image") }
            return try await run(first, image, first.script)
        } catch var error as MartletError {
            if error.route.steps.isEmpty { error.route = here }
            return (.failure(error), nil, false)
        } catch {
            return (.failure(MartletError(.connectorFailed, "\(error)", route: here)), nil, false)
        }
    }

    /// What is opened in time.
    func opening<Opened: Sendable>(
        until deadline: UInt64, _ open: @escaping @Sendable () async throws -> Opened
    ) async throws -> Opened {
        let opening = Task(executorPreference: reactor) { try await open() }
        let timer = reactor.schedule(at: deadline) { opening.cancel() }
        defer { reactor.cancel(timer) }
        do {
            return try await withTaskCancellationHandler {
                try await opening.value
            } onCancel: {
                opening.cancel()
            }
        } catch is CancellationError where !Task.isCancelled {
            throw MartletError(.connectTimedOut, "not connected in time", phase: .reach)
        }
    }

    private func beginning(
        _ launch: Launch, until deadline: UInt64, _ label: String
    ) async throws -> ConnectAttempt.Beginning {
        switch launch.way {
        case .image: throw MartletError(.connectorFailed, "the connector \(label) changes its mind")
        case .stream(let open):
            return .stream(try await opening(until: deadline, open))
        case .command(let arguments, let local, let asking):
            guard let program = arguments.first else {
                throw MartletError(.connectorFailed, "the connector \(label) names no command")
            }
            var environment = ProcessEnvironment.current
            for (name, value) in local.environment { environment[name] = value }
            let path: String
            do { path = try ProgramSearch.find(program, path: environment["PATH"]) } catch {
                throw MartletError(.connectorFailed, "\(error)", advice: "install \(program) on this side")
            }
            let template = ConnectAttempt.SpawnTemplate(
                path: path,
                arguments: arguments,
                environment: environment.strings,
                directory: local.directory,
                nice: Int32(clamping: local.nice),
                newSession: true
            )
            return .program(template, asking)
        }
    }

    private func localTemplate(_ options: LocalOptions, _ nonce: BootstrapNonce) -> ConnectAttempt.SpawnTemplate {
        var environment = ProcessEnvironment.current
        for (name, value) in options.environment { environment[name] = value }
        if let folder = images.libraryFolder {
            environment["LD_LIBRARY_PATH"] = folder + (environment["LD_LIBRARY_PATH"].map { ":\($0)" } ?? "")
        }
        environment["MARTLET_AGENT"] = nonce.text
        return .init(
            path: "/proc/self/exe",
            arguments: ["martlet"],
            environment: environment.strings,
            directory: options.directory,
            nice: Int32(clamping: options.nice),
            newSession: false
        )
    }
}

extension Reactor {
    /// Waits; returns early if the task is cancelled.
    func sleep(_ nanoseconds: UInt64) async {
        let gate = CreditGate()
        let generation = gate.generation
        let timer = schedule(at: Reactor.now + nanoseconds) { gate.open() }
        await withTaskCancellationHandler {
            await gate.wait(since: generation)
        } onCancel: {
            gate.open()
        }
        cancel(timer)
    }
}
