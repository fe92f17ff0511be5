import DequeModule
import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// What contexts below this one may fetch: what this context's own program offers, and what has passed through to others
/// below before. An offer is a token that nobody guesses; whoever does not show it gets nothing.
///
/// The questions from below one child are answered one after the other, so that who asks and does not read makes us keep
/// one answer.
final class ResourceOffers: Sendable {
    /// How much of what passes through is kept for the next to ask, in bytes.
    static let cacheLimit = 32 << 20
    /// How many offers are remembered, and for how many contexts what they were sent: the oldest is forgotten.
    static let offerLimit = 256
    static let readerLimit = 4096
    /// How many names are remembered for all of these together.
    static let knownLimit = 1 << 18
    /// The longest name, in bytes.
    static let nameLimit = 1024

    private struct Reader: Hashable {
        var token: ChannelToken
        var address: ContextAddress
    }

    private struct Key: Hashable {
        var token: ChannelToken
        var name: String
    }

    private struct State {
        var offers: [(token: ChannelToken, provider: any ResourceProvider)] = []
        var cache: [Key: Resource] = [:]
        var cachedBytes = 0
        /// What each context that asked was sent.
        var known: [Reader: Set<String>] = [:]
        var knownNames = 0
        /// What is being asked for above, and who waits for it.
        var underWay: [Key: [UnsafeContinuation<Result<Resource, ResourceFailure>?, Never>]] = [:]
        /// The questions from below each child; the first is being answered.
        var waiting: [UInt32: Deque<IncomingFetch>] = [:]
    }

    private let state = Mutex(State())
    private let asked = Atomic(0)

    /// How many questions came. For tests.
    var questions: Int { asked.load(ordering: .relaxed) }

    /// Lets whoever knows the token fetch what the provider has.
    ///
    /// - Parameters:
    ///   - isCurrent: whether a provider that was offered before will do: then what contexts on the way have kept of it does
    ///     too.
    ///   - make: a new one.
    func offer<Provider: ResourceProvider>(
        _ isCurrent: (Provider) -> Bool, make: () -> Provider
    ) -> (token: [UInt8], provider: Provider) {
        for (token, provider) in state.withLock({ $0.offers }).reversed() {
            if let provider = provider as? Provider, isCurrent(provider) { return (token.bytes, provider) }
        }
        let (token, provider) = (ChannelToken.random(), make())
        state.withLock { state in
            if state.offers.count >= Self.offerLimit { state.offers.removeFirst() }
            state.offers.append((token, provider))
        }
        return (token.bytes, provider)
    }

    // MARK: Questions

    /// Answers a question when those before it from below the same child have been.
    func add(_ fetch: IncomingFetch, from child: UInt32, _ runtime: ContextRuntime) {
        asked.add(1, ordering: .relaxed)
        let isFirst = state.withLock { state in
            state.waiting[child, default: []].append(fetch)
            return state.waiting[child]?.count == 1
        }
        guard isFirst else { return }
        // It ends with the questions, whose streams end with the link that they came over.
        Task(executorPreference: runtime.reactor) { await self.answer(child, runtime) }
    }

    private func answer(_ child: UInt32, _ runtime: ContextRuntime) async {
        while let fetch = state.withLock({ $0.waiting[child]?.first }) {
            if !fetch.isOver { await fetch.send(answer(to: fetch, runtime), runtime.node) }
            state.withLock { state in
                state.waiting[child]?.removeFirst()
                if state.waiting[child]?.isEmpty == true { state.waiting[child] = nil }
            }
        }
    }

    private nonisolated(nonsending) func answer(to fetch: IncomingFetch, _ runtime: ContextRuntime) async -> [UInt8] {
        let reader = Reader(token: fetch.token, address: fetch.reader)
        do {
            let known = state.withLock { $0.known[reader] ?? [] }
            let bundle =
                if let provider = provider(of: fetch.token) {
                    try Self.bundle(fetch.name, of: provider, known)
                } else {
                    try await bundle(fetch, known, runtime)
                }
            state.withLock { state in
                state.knownNames += bundle.known.count - (state.known[reader]?.count ?? 0)
                if state.known.count >= Self.readerLimit || state.knownNames > Self.knownLimit {
                    (state.known, state.knownNames) = ([:], bundle.known.count)
                }
                state.known[reader] = bundle.known
            }
            return [0] + ((try? CBOREncoder().encode(bundle.resources)) ?? [0x80])
        } catch {
            return [1] + error.message.utf8
        }
    }

    private func provider(of token: ChannelToken) -> (any ResourceProvider)? {
        state.withLock { state in state.offers.first { $0.token == token }?.provider }
    }

    private typealias Bundle = (resources: [Resource], known: Set<String>)

    private static func bundle(
        _ name: String, of provider: any ResourceProvider, _ known: Set<String>
    ) throws(ResourceFailure) -> Bundle {
        var after = known
        let first = try provider.resource(name, known: known)
        let resources = ResourceBundle.make(first, known: &after) { try? provider.resource($0, known: []) }
        return (resources, after)
    }

    /// As the controller would, from what it has sent.
    private nonisolated(nonsending) func bundle(
        _ fetch: IncomingFetch, _ known: Set<String>, _ runtime: ContextRuntime
    ) async throws(ResourceFailure) -> Bundle {
        let first = try await above(Key(token: fetch.token, name: fetch.name), runtime)
        let resources = state.withLock { state in
            var after = known
            let bundle = ResourceBundle.make(first, known: &after) { name in
                state.cache[Key(token: fetch.token, name: name)]
            }
            return (bundle, after)
        }
        return resources
    }

    private enum Step {
        case have(Resource)
        /// Somebody asks already.
        case wait
        case ask
    }

    /// Has the resource from above, once however many ask for it.
    private nonisolated(nonsending) func above(
        _ key: Key, _ runtime: ContextRuntime
    ) async throws(ResourceFailure) -> Resource {
        while true {
            let step = state.withLock { state -> Step in
                if let resource = state.cache[key] { return .have(resource) }
                if state.underWay[key] != nil { return .wait }
                state.underWay[key] = []
                return .ask
            }
            switch step {
            case .have(let resource): return resource
            case .wait:
                // It may have come since; then there is a look again.
                if let answer = await answerUnderWay(key) { return try answer.get() }
            case .ask:
                let answer = await ask(key, runtime)
                let first = answer.map { $0.first ?? Resource(name: key.name, value: nil) }
                let waiters = state.withLock { state in
                    if case .success(let resources) = answer { Self.keep(resources, key.token, &state) }
                    return state.underWay.removeValue(forKey: key) ?? []
                }
                for waiter in waiters { waiter.resume(returning: first) }
                return try first.get()
            }
        }
    }

    private nonisolated(nonsending) func answerUnderWay(_ key: Key) async -> Result<Resource, ResourceFailure>? {
        await withUnsafeContinuation { continuation in
            let waits = state.withLock { state in state.underWay[key]?.append(continuation) != nil }
            if !waits { continuation.resume(returning: nil) }
        }
    }

    private static func keep(_ resources: [Resource], _ token: ChannelToken, _ state: inout State) {
        let size = resources.reduce(0) { $0 + $1.weight }
        if state.cachedBytes + size > cacheLimit { (state.cache, state.cachedBytes) = ([:], 0) }
        guard size <= cacheLimit else { return }
        for resource in resources where resource.value != nil {
            let key = Key(token: token, name: resource.name)
            state.cachedBytes += resource.weight - (state.cache[key]?.weight ?? 0)
            state.cache[key] = resource
        }
    }

    private nonisolated(nonsending) func ask(
        _ key: Key, _ runtime: ContextRuntime
    ) async -> Result<[Resource], ResourceFailure> {
        guard let parent = runtime.node.address.parent else {
            return .failure(.init("nothing is offered by that token, or not any more"))
        }
        let pending = PendingCall(runtime.node)
        let opened = runtime.node.open(
            to: parent, .fetch, owner: pending, payload: key.token.bytes + key.name.utf8, flags: .last)
        guard opened != nil else { return .failure(.init("the controller is not connected")) }
        // The link is watched; this is for a parent that is alive and does not answer.
        pending.setDeadline(Reactor.now + 60_000_000_000)
        switch await pending.outcome() {
        case .answer(let bytes) where bytes.first == 0:
            guard let resources = try? CBORDecoder().decode([Resource].self, from: Array(bytes.dropFirst())) else {
                return .failure(.init("the answer cannot be read"))
            }
            return .success(resources)
        case .answer(let bytes): return .failure(.init(String(decoding: bytes.dropFirst(), as: UTF8.self)))
        case .deadlineExceeded: return .failure(.init("no answer within 60 s"))
        case .cancelled: return .failure(.init("cancelled"))
        case .reset(let reason): return .failure(.init(reason.message))
        }
    }

    // MARK: Ends

    /// What was sent to contexts that are gone is forgotten.
    func forget(below address: ContextAddress) {
        state.withLock { state in
            guard !state.known.isEmpty else { return }
            state.known = state.known.filter { !address.contains($0.key.address) }
            state.knownNames = state.known.values.reduce(0) { $0 + $1.count }
        }
    }
}
