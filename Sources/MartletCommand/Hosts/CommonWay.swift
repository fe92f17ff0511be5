import Martlet
import MartletFleet
import Synchronization

/// The part of the way that all hosts of a command have in common: the hub, or the hops of `--via`. It is connected when
/// the first host needs it, and anew when it was lost.
final class CommonWay: Sendable {
    /// The way from its end on.
    private final class Opened: Sendable {
        let way: WayIn
        let context: Context?

        init(_ way: WayIn, _ context: Context?) { (self.way, self.context) = (way, context) }
    }

    private let connection: LazyConnection<Opened>
    private let isRetried: Bool
    private let failure = Mutex<(any Error)?>(nil)

    /// - Parameter isRetried: whether a host may try it again after it has failed. Otherwise no later host does either.
    init(_ wayIn: WayIn, _ controller: Controller, _ output: Output, among hosts: [HostName], isRetried: Bool) {
        self.isRetried = isRetried
        connection = LazyConnection { _ in
            let (way, context) = try await wayIn.sharing(controller, output, among: hosts)
            return Opened(way, context)
        } isThere: {
            $0.context?.hasLink ?? true
        } isGone: {
            await $0.context?.isGone() ?? false
        } end: { opened, limit in
            await opened.context?.close(within: limit)
        }
    }

    func value() async throws -> WayIn {
        if let error = failure.withLock({ $0 }) { throw error }
        do { return try await connection.value().way } catch {
            if !isRetried, !(error is CancellationError) { failure.withLock { $0 = error } }
            throw error
        }
    }

    func close(within limit: Duration) async { await connection.close(within: limit) }
}
