/// Finds reports and the agent's hello in what a far side prints, whatever else a login prints around them.
///
/// Its memory is bounded whatever comes: the last 16 KiB of noise, and a line of at most 1 KiB.
package struct StageScanner: Sendable {
    package enum Event: Sendable, Hashable {
        case report(StageReport)
        /// The agent speaks: everything from here on belongs to the link, these bytes first.
        case hello(remaining: [UInt8])
    }

    /// How much of the noise is kept, in bytes.
    package static let noiseLimit = 16 * 1024
    /// The longest report, in bytes; what goes on for longer is noise.
    package static let lineLimit = 1024

    private let reportMarker: [UInt8]
    private let helloMarker: [UInt8]
    /// What may be the beginning of a marker, or of a report line whose end has not come.
    private var pending: [UInt8] = []
    private var kept: [UInt8] = []
    private var isLinked = false

    package init(nonce: BootstrapNonce) {
        reportMarker = nonce.reportMarker
        helloMarker = nonce.helloMarker
    }

    /// What was printed and is neither report nor hello: its last 16 KiB.
    package var noise: [UInt8] { Array((kept + pending).suffix(Self.noiseLimit)) }

    /// Takes the next bytes.
    ///
    /// - Returns: what they completed, in order; `hello` is always the last, and no bytes may follow it.
    package mutating func receive(_ bytes: some Collection<UInt8>) -> [Event] {
        precondition(!isLinked, "what follows the hello belongs to the link")
        pending += bytes
        var events: [Event] = []
        var position = 0
        while position < pending.count {
            let first = pending[position]
            guard first == reportMarker[0] || first == helloMarker[0] else {
                let next = pending[position...].firstIndex { $0 == reportMarker[0] || $0 == helloMarker[0] }
                addNoise(pending[position..<(next ?? pending.count)])
                position = next ?? pending.count
                continue
            }
            let marker = first == reportMarker[0] ? reportMarker : helloMarker
            let candidate = pending[position...].prefix(marker.count)
            guard marker.starts(with: candidate) else {
                addNoise(pending[position...position])
                position += 1
                continue
            }
            guard candidate.count == marker.count else { break }
            let body = pending[(position + marker.count)...]
            if first == helloMarker[0] {
                isLinked = true
                events.append(.hello(remaining: Array(body)))
                pending = []
                return events
            }
            guard let end = body.prefix(Self.lineLimit).firstIndex(of: 0x0A) else {
                if body.count < Self.lineLimit { break }
                addNoise(pending[position...position])
                position += 1
                continue
            }
            if let report = StageReport.parse(body: body[..<end]) {
                events.append(.report(report))
                position = end + 1
            } else {
                addNoise(pending[position...position])
                position += 1
            }
        }
        pending.removeFirst(position)
        return events
    }

    private mutating func addNoise(_ bytes: ArraySlice<UInt8>) {
        kept += bytes.suffix(Self.noiseLimit)
        // Trimmed rarely, so that byte-wise noise does not move the whole of it every time.
        if kept.count > 2 * Self.noiseLimit { kept.removeFirst(kept.count - Self.noiseLimit) }
    }
}
