import CMartlet
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// What lets its holder take a channel's end, once, or call an actor: 128 random bits.
package struct ChannelToken: Hashable, Sendable {
    package static let byteCount = 16
    let high: UInt64
    let low: UInt64

    package static func random() -> ChannelToken {
        var words: (UInt64, UInt64) = (0, 0)
        let isRandom = withUnsafeMutableBytes(of: &words) { martlet_random($0.baseAddress, $0.count) }
        precondition(isRandom, "this system has no source of random numbers")
        return ChannelToken(high: words.0, low: words.1)
    }

    private init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    package var bytes: [UInt8] {
        withUnsafeBytes(of: (high.bigEndian, low.bigEndian)) { Array($0) }
    }
}

/// The channel ends that this context has passed on and that nobody has taken yet.
final class ChannelOffers: Sendable {
    /// How many may be open at once.
    static let limit = 65_536
    /// How long an end may still be taken after what carried it is over, in nanoseconds: the claim may be under way.
    static let grace: UInt64 = 10_000_000_000
    static let unknownToken = "there is no channel of that name here, or not any more"

    private struct Offer {
        var pipe: ChannelPipe
        var side: ChannelPipe.Side
    }

    private struct State {
        var offers: [ChannelToken: Offer] = [:]
        /// Pipes with sides that are joined to other contexts, and how many.
        var joined: [ObjectIdentifier: (pipe: ChannelPipe, sides: Int)] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())
    private let streams = Atomic(0)
    private let refusesItems = Atomic(false)

    /// Whether nothing more is taken from writers here.
    var isDraining: Bool { refusesItems.load(ordering: .relaxed) }

    /// From now on what was written is still sent, and nothing more is taken from writers here: who writes for ever would
    /// hold up the end.
    func drain() { refusesItems.store(true, ordering: .relaxed) }

    /// Channel ends that are joined to other contexts by streams.
    var openStreams: Int { streams.load(ordering: .relaxed) }
    func streamBegan(_ pipe: ChannelPipe) {
        streams.add(1, ordering: .relaxed)
        state.withLock { $0.joined[ObjectIdentifier(pipe), default: (pipe, 0)].sides += 1 }
    }

    func streamEnded(_ pipe: ChannelPipe) {
        streams.subtract(1, ordering: .relaxed)
        let left = state.withLock { state in
            let id = ObjectIdentifier(pipe)
            state.joined[id]?.sides -= 1
            return state.joined[id]?.sides == 0 ? state.joined.removeValue(forKey: id) : nil
        }
        withExtendedLifetime(left) {}
    }

    /// Whether nothing that was sent to other contexts waits here.
    var isDrained: Bool { state.withLock { Array($0.joined.values) }.allSatisfy(\.pipe.isDrained) }

    /// Takes note of an end that leaves this context; `nil` if there are too many, or the context is ending.
    func offer(_ pipe: ChannelPipe, _ side: ChannelPipe.Side) -> ChannelToken? {
        let token = ChannelToken.random()
        return state.withLock { state in
            guard !state.isClosed, state.offers.count < Self.limit else { return nil }
            state.offers[token] = Offer(pipe: pipe, side: side)
            return token
        }
    }

    func find(_ token: ChannelToken) -> (ChannelPipe, ChannelPipe.Side)? {
        state.withLock { $0.offers[token].map { ($0.pipe, $0.side) } }
    }

    /// - Returns: `false` if it was taken before: a token is good for one claim.
    func claim(_ token: ChannelToken) -> Bool { state.withLock { $0.offers.removeValue(forKey: token) != nil } }

    /// What carried these never arrives: the ends are as good as closed.
    func abandon(_ tokens: [ChannelToken], after delay: UInt64 = grace, _ reactor: Reactor) {
        let open = state.withLock { state in tokens.filter { state.offers[$0] != nil } }
        guard !open.isEmpty else { return }
        reactor.schedule(at: Reactor.now + delay) { [self] in
            for token in open {
                guard let offer = state.withLock({ $0.offers.removeValue(forKey: token) }) else { continue }
                offer.pipe.abandoned(at: offer.side)
            }
        }
    }

    /// The context ends.
    func close() {
        let offers = state.withLock { state in
            state.isClosed = true
            defer { state.offers = [:] }
            return state.offers.values
        }
        for offer in offers { offer.pipe.abandoned(at: offer.side) }
    }

    /// Answers a stream of kind `channel`: its payload is a token.
    func accept(
        _ key: StreamKey,
        _ payload: UnsafeRawBufferPointer,
        runtime: ContextRuntime
    ) -> Result<ChannelStream, StreamRefusal> {
        guard let token = ChannelToken(payload), let (pipe, side) = find(token) else {
            return .failure(StreamRefusal(.refused, Self.unknownToken))
        }
        return .success(ChannelStream(key, token, pipe, side, runtime: runtime))
    }
}
