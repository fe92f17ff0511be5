/// How the bytes of an image travel.
package enum PartEncoding: String, Sendable, Hashable, CaseIterable {
    case raw, gzip, zstd

    /// Below this round trip the machine is so near that compression costs more than it saves.
    package static let nearRoundTrip: Duration = .milliseconds(3)

    /// The encoding to send in: raw to a near machine, else the best that both sides have.
    ///
    /// - Parameters:
    ///   - roundTrip: the time between sending the second stage and its `alive` line.
    ///   - here: what this side can make.
    ///   - there: what the far side can undo.
    package static func choose(
        roundTrip: Duration, here: Set<PartEncoding>, there: Set<PartEncoding>
    ) -> PartEncoding {
        if roundTrip < nearRoundTrip { return .raw }
        let both = here.intersection(there)
        return both.contains(.zstd) ? .zstd : both.contains(.gzip) ? .gzip : .raw
    }
}
