import Martlet

/// A host whose context is the hub's.
struct HubHost: CommandRunner, FleetMember {
    let hub: Context
    let target: HubTarget
    let timings: ConnectTimings

    static func open(_ hub: Context, _ target: HubTarget) async throws -> HubHost {
        let opened = try await hub.call(HubOpen(target: target))
        // It was connected before we came.
        return HubHost(hub: hub, target: target, timings: opened.wasThere ? ConnectTimings() : opened.timings)
    }

    func close(within limit: Duration) async {}

    func run(
        _ command: String, options: CommandOptions, onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult {
        try await run([command], command, options, onLine)
    }

    func run(
        executable: String, arguments: [String], options: CommandOptions,
        onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult {
        let words = [executable] + arguments
        return try await run(words, words.joined(separator: " "), options, onLine)
    }

    private func run(
        _ words: [String], _ name: String, _ options: CommandOptions,
        _ onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) async throws -> CommandResult {
        let (lines, there) = hub.makeChannel(of: OutputLine.self)
        defer { lines.close() }
        let task = HubRun(
            target: target, words: words, environment: options.environment, directory: options.directory,
            timeout: options.timeout, lines: there)
        let ended = try await withThrowingTaskGroup(of: HubRun.Ended?.self) { group in
            group.addTask { try await hub.call(task) }
            group.addTask {
                for try await line in lines { try await onLine?(line) }
                return nil
            }
            defer { group.cancelAll() }
            var ended: HubRun.Ended?
            do { while let result = try await group.next() { ended = result ?? ended } } catch {
                // Why the command is over says more than that its lines are.
                group.cancelAll()
                lines.close()
                while let other = await group.nextResult() {
                    if case .failure(let cause) = other, !(cause is CancellationError), cause is MartletError {
                        throw cause
                    }
                }
                throw error
            }
            return ended
        }
        guard let ended else { throw MartletError(.contextLost, "the hub has ended", route: hub.route) }
        let termination: Termination =
            ended.signal.map { .signalled($0) } ?? ended.exitCode.map { .exited($0) }
            ?? .timedOut(after: options.timeout ?? .zero)
        return CommandResult(
            command: name, termination: termination, duration: ended.duration,
            route: Route(steps: ended.route))
    }
}

/// Where a command of `run` goes.
enum RunPlace: FleetMember {
    case own(Context)
    case hub(HubHost)

    var timings: ConnectTimings {
        switch self {
        case .own(let context): context.timings
        case .hub(let host): host.timings
        }
    }

    func close(within limit: Duration) async {
        if case .own(let context) = self { await context.close(within: limit) }
    }
}
