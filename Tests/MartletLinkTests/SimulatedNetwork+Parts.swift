import MartletLink
import MartletWire

extension SimulatedNetwork {
    struct Frame {
        var header: FrameHeader
        var kind: StreamKind?
        var credit = 0
        /// Which end sent it and as which of its frames, so that a frame at the wrong place or out of order is seen.
        var sender: Int?
        var sequence = 0
    }

    /// One end of a stream: what it still wants to do and what became of it.
    struct End {
        let context: Int
        let key: StreamKey
        let isBulk: Bool
        var isOpener: Bool
        var framesToSend: Int
        var saysEnd: Bool
        var sequence = 0
        var expected = 0
        var peer: Int?
        var unread: [Int] = []
        var outcomes = 0
        var place: Int
    }

    /// One direction of a link: what waits, and what is in flight and can no longer be overtaken.
    struct Direction {
        let from: Int
        let to: Int
        let arrivesFrom: Neighbour
        var outbox = FrameQueue()
        var wire: [Frame] = []
        var isAlive = true
        var place: Int?
        var slowness: Int
        /// What waits here for each stream, by cost.
        var waiting: [StreamKey: Int] = [:]
    }

    /// An outbox for frames that have no bytes: it is given their numbers instead.
    struct FrameQueue {
        private var outbox = Outbox()
        private var frames: [UInt32: Frame] = [:]
        private var last: UInt32 = 0

        mutating func append(_ frame: Frame) {
            last += 1
            frames[last] = frame
            outbox.append(withUnsafeBytes(of: last) { Array($0) }, header: frame.header)
        }

        mutating func next() -> Frame? {
            guard let bytes = outbox.next() else { return nil }
            return frames.removeValue(forKey: bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })!
        }
    }

    struct Context {
        var node: LinkNode
        let parent: Int?
        let depth: Int
        var directions: [Neighbour: Int] = [:]
    }
}
