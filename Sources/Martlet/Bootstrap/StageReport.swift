/// Why one place could not take or run the image.
package struct PlaceFailure: Sendable, Hashable, CustomStringConvertible {
    /// The place's label: `cache`, a directory, the name of the variable that names it, or `memfd-` and an interpreter.
    package let place: String
    /// One word: `noexec`, `no-space`, `quota`, `read-only`, `not-writable`, `not-ours`, `not-ram`, `missing`, `unset`,
    /// `absent`, `broken`, `no-memfd`, `no-proc`, `damaged`, `exec-failed`, `failed`.
    package let reason: String

    package init(place: String, reason: String) {
        self.place = place
        self.reason = reason
    }

    init?(_ word: some StringProtocol) {
        let halves = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, !halves[0].isEmpty, !halves[1].isEmpty else { return nil }
        // A shell's status: 127 where there was nothing to execute.
        let status = Int(halves[1]).map { $0 == 127 ? "absent" : "broken" }
        self.init(place: String(halves[0]), reason: status ?? String(halves[1]))
    }

    package var description: String { "\(place) \(reason)" }
}

/// A line that a stage prints for the controller.
package enum StageReport: Sendable, Hashable {
    /// The image is not in the cache. What `uname -sm` says: both are empty where there is no `uname`.
    case miss(system: String, machine: String)
    /// The second stage runs; it has not looked at anything yet.
    case alive
    /// A place is found; the missing parts may be sent.
    case ready(Ready)
    /// An interpreter's program is wanted (`MemfdStage`).
    case want(place: String)
    /// A place failed after its `ready` or `want`; another report follows.
    case again(PlaceFailure)
    /// No place can run the image.
    case failed([PlaceFailure])
    /// A place failed in a way after which the input cannot be followed any more; nothing follows.
    case lost(PlaceFailure)
    /// The image is about to be executed.
    case start

    package struct Ready: Sendable, Hashable {
        /// The place's label, as in `PlaceFailure`.
        package var place: String
        /// Whether the image stays there for the next connect.
        package var isKept: Bool
        /// What the place can undo; `raw` always.
        package var encodings: Set<PartEncoding>
        /// The free space in KiB, if it is known.
        package var freeKiB: Int?
        /// The indexes of the parts to send; never empty.
        package var missing: [Int]
    }

    /// Reads one line that begins with the nonce's marker, without its end.
    ///
    /// - Returns: nil if it is not a report: the far side is not trusted to follow the grammar.
    package static func parse(line: some Collection<UInt8>, nonce: BootstrapNonce) -> StageReport? {
        let marker = nonce.reportMarker
        guard line.starts(with: marker) else { return nil }
        return parse(body: line.dropFirst(marker.count))
    }

    static func parse(body: some Collection<UInt8>) -> StageReport? {
        guard body.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x0D }) else { return nil }
        // A terminal in between ends lines with CR LF.
        let words = String(decoding: body, as: UTF8.self).split { $0 == " " || $0 == "\r" }
        guard let kind = words.first else { return nil }
        let rest = words.dropFirst()
        switch kind {
        case "miss" where rest.isEmpty: return .miss(system: "", machine: "")
        case "miss" where rest.count == 2:
            // The machine's name comes back in a command line and in a file's name.
            guard rest.allSatisfy({ String($0).isPlainFileName }) else { return nil }
            return .miss(system: String(words[1]), machine: String(words[2]))
        case "alive" where rest.isEmpty: return .alive
        case "start" where rest.isEmpty: return .start
        case "lost" where rest.count == 1: return PlaceFailure(words[1]).map { .lost($0) }
        case "want" where rest.count == 1: return .want(place: String(words[1]))
        case "again" where rest.count == 1: return PlaceFailure(words[1]).map { .again($0) }
        case "failed":
            let failures = rest.compactMap { PlaceFailure($0) }
            return failures.count == rest.count ? .failed(failures) : nil
        case "ready" where rest.count == 5: return Ready(Array(rest)).map { .ready($0) }
        default: return nil
        }
    }
}

extension StageReport.Ready {
    /// `PLACE KEPT ENCODINGS FREE MISSING`
    fileprivate init?(_ words: [Substring]) {
        let missing = words[4].split(separator: ",").map { Int($0) }
        let indexes = missing.compactMap { $0 }
        guard words[1] == "0" || words[1] == "1", !indexes.isEmpty, indexes.count == missing.count,
            indexes.allSatisfy({ $0 >= 0 }), zip(indexes, indexes.dropFirst()).allSatisfy({ $0 < $1 })
        else { return nil }
        place = String(words[0])
        isKept = words[1] == "1"
        encodings = Set(words[2].split(separator: ",").compactMap { PartEncoding(rawValue: String($0)) }).union([.raw])
        freeKiB = Int(words[3])
        self.missing = indexes
    }
}
