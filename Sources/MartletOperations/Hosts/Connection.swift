import Martlet
import Synchronization

/// A context that operations use, with what is known of its machine.
final class Connection: Sendable {
    let context: Context
    private let homes = Mutex<[String: String]>([:])

    init(_ context: Context) { self.context = context }

    /// What the shell over there says to a question of an operation's own, for as long as a command may take.
    ///
    /// - Parameter title: what is done, for people.
    /// - Throws: ``OperationError`` `commandTimedOut`; as `Context.run`.
    func ask(
        _ title: String, _ arguments: [String], host: String, _ settings: Settings
    ) async throws -> CommandResult {
        var options = CommandOptions()
        options.timeout = settings[TimeoutKey.self] ?? .seconds(30)
        let result = try await context.run(executable: "/bin/sh", arguments: arguments, options: options)
        guard case .timedOut(let limit) = result.termination else { return result }
        throw OperationError(
            .commandTimedOut, "\(title) was ended when its time was up, after \(limit)", host: host,
            route: context.route,
            advice: "a disk or the list of users may hang there; if not, give it more time by .timeout(…)")
    }

    /// A path without `~` in front, as the shell over there would have it.
    ///
    /// - Throws: ``OperationError`` `commandNotStarted` if there is no such account; as ``ask(_:_:host:_:)``.
    func resolving(_ path: String, host: String, _ settings: Settings) async throws -> String {
        guard let (name, rest) = RemotePath.home(path) else { return path }
        if let home = homes.withLock({ $0[name] }) { return home + rest }
        // The name is that of an account and of nothing else: a shell has nothing to expand in it but that.
        let result = try await ask(
            "looking up the home directory \(name)", ["-c", "eval \"printf %s \(name)\""], host: host, settings)
        let home = result.text
        guard result.succeeded, home.hasPrefix("/") else {
            throw OperationError(
                .commandNotStarted, "there is no home directory \(name)", host: host, route: context.route,
                advice: "write the directory's whole path")
        }
        homes.withLock { $0[name] = home }
        return RemotePath.joining(home: home, rest: rest)
    }
}
