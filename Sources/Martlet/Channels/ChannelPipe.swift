import Synchronization

/// A channel as far as this context knows it: two sides, and a flow from each to the other.
///
///     here ──passed on──▶ offered ──claimed──▶ stream ──both ended, lost──▶ gone
///       │ ◀──taken back──┘  └──────never claimed──────────────────────────▶ gone
///       └───────────────closed, or nobody holds it any more───────────────▶ gone
///
/// Whatever the sides are, bytes pass: from here to a stream, from a stream to here, and where both ends were passed on,
/// from stream to stream. What a flow holds is bounded: a local writer waits above ``limit``, and what came over a stream
/// costs that stream's credit until it is taken. Lock order: `state`, then the node's.
final class ChannelPipe: Sendable {
    enum Side: Int, Sendable {
        case first = 0
        case second = 1

        var other: Side { self == .first ? .second : .first }
    }

    /// How much one side may have written that the other has not taken, before its writers wait, in bytes.
    static let limit = 256 * 1024

    let runtime: ContextRuntime
    let state = Mutex(State())
    var node: ContextNode { runtime.node }

    init(_ runtime: ContextRuntime) { self.runtime = runtime }
}
