import Martlet
import Synchronization

/// A context that operations use, with what is known of its machine.
final class Connection: Sendable {
    let context: Context
    private let homes = Mutex<[String: String]>([:])

    init(_ context: Context) { self.context = context }

    /// A path without `~` in front, as the shell over there would have it.
    ///
    /// - Throws: ``OperationError`` `commandNotStarted` if there is no such account; as `Context.run`.
    func resolving(_ path: String, host: String) async throws -> String {
        guard let (name, rest) = RemotePath.home(path) else { return path }
        if let home = homes.withLock({ $0[name] }) { return home + rest }
        // The name is that of an account and of nothing else: a shell has nothing to expand in it but that.
        let result = try await context.run("eval \"printf %s \(name)\"")
        let home = result.text
        guard result.succeeded, home.hasPrefix("/") else {
            throw OperationError(
                .commandNotStarted, "there is no home directory \(name)", host: host, route: context.route,
                advice: "write the directory's whole path")
        }
        homes.withLock { $0[name] = home }
        return home == "/" && !rest.isEmpty ? rest : home + rest
    }
}
