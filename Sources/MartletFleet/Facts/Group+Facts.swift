import Martlet
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Group {
    /// What is known of each member. They are asked at once, and what they say is kept with the member.
    ///
    /// - Parameter maxAge: what is older is asked anew. Default: 10 minutes.
    /// - Throws: as ``call(_:timeout:)``.
    public func facts(maxAge: Duration = .seconds(600)) async throws -> GroupResults<HostFacts> {
        let hosts = Dictionary(uniqueKeysWithValues: entries.map { ($0.member, $0.host) })
        return try await withoutStrategy.each { context, member in
            let host = hosts[member]!
            if let facts = host.facts.withLock(\.self), facts.isCurrent(maxAge) { return facts }
            var options = CommandOptions()
            (options.timeout, options.outputLimit) = (.seconds(20), 64 << 10)
            let result = try await context.run(HostFacts.script, options: options).accepted([0])
            let facts = HostFacts(context.facts, result.text, readAt: HostFacts.now)
            host.facts.withLock { $0 = facts }
            return facts
        }
    }

    /// The members whose facts are as wanted.
    ///
    ///     let old = try await web.matching { $0.distribution.id == "debian" && $0.pythonVersion == nil }
    ///
    /// - Parameter maxAge: what is older is asked anew. Default: 10 minutes.
    /// - Throws: ``GroupError`` with every member that could not be asked.
    public func matching(
        maxAge: Duration = .seconds(600), _ isIncluded: (HostFacts) throws -> Bool
    ) async throws -> Group {
        let all = try await facts(maxAge: maxAge).get()
        return Group(try zip(entries, all).compactMap { try isIncluded($1) ? $0 : nil }, like: self)
    }
}

extension HostFacts {
    static var now: Double { Double(time(nil)) }

    /// - Parameter age: how old they may be. Facts of the future, by a clock that was turned back, are none.
    func isCurrent(_ age: Duration) -> Bool {
        let seconds = Self.now - readAt
        return seconds >= 0 && seconds <= Double(age.components.seconds)
    }
}
