/// Why no agent came up.
package struct BootstrapFailure: Error, Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// The far side ended before the first stage reported anything: no shell, a forced command, a refused login.
        case nothingReported
        /// There is no image for this kind of machine.
        case noImage(system: String, machine: String)
        /// Every place was tried, and each failed for its reason.
        case noPlace
        /// The far side ended in the midst of the bootstrap.
        case ended
        /// The image was cached and started, and the far side ended without the agent's hello: worth a careful try.
        case cachedDidNotStart
        /// A place failed when part of the image was in it, and nobody knows how much of the input was read: worth a
        /// careful try.
        case lost
        /// The image was sent whole and started, and the far side ended without the agent's hello.
        case agentDidNotStart
        /// There is no interpreter for the program that was to be sent.
        case noInterpreter
        /// The program was sent to an interpreter, and the far side ended without a hello: worth a careful try.
        case scriptDidNotStart
        /// The far side reported something that makes no sense at this point.
        case unexpectedReport(StageReport)
        /// The caller's deadline passed; `phase` says where.
        case deadline(phase: String)
    }

    package var kind: Kind
    /// The places that failed, in the order they were tried.
    package var places: [PlaceFailure]
    /// What else the far side printed: at most the last 16 KiB.
    package var noise: [UInt8]
}

extension BootstrapFailure {
    /// Whether a try with `FirstStage.isCareful` may succeed where this one took a short cut.
    package var isWorthCare: Bool { [.cachedDidNotStart, .lost, .scriptDidNotStart].contains(kind) }
}

extension BootstrapFailure: CustomStringConvertible {
    package var description: String {
        var text =
            switch kind {
            case .nothingReported: "the far side ended before a shell of ours ran there"
            case .noImage(let system, let machine): "there is no image for \(system) \(machine)"
            case .noPlace: "no place at the far side can hold and run the image"
            case .ended: "the far side ended while the image was being sent"
            case .cachedDidNotStart: "the cached image was started, but no agent answered"
            case .lost: "the place that was chosen could not take the image"
            case .agentDidNotStart: "the image is there, but no agent answered"
            case .noInterpreter: "there is no interpreter for the program that was to be sent"
            case .scriptDidNotStart: "an interpreter was started, but no agent answered"
            case .unexpectedReport(let report): "the far side reported \(report) out of turn"
            case .deadline(let phase): "the deadline passed while \(phase)"
            }
        if !places.isEmpty { text += " (\(places.map(\.description).joined(separator: ", ")))" }
        return text
    }
}
