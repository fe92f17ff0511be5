import DequeModule
package import MartletWire

/// What waits for a link that is full: control before calls before bulk, bulk streams taking turns.
///
/// The frames of one stream must not overtake each other where it matters: a reset or a data frame that arrives before
/// its own `open` is stale, and the stream would then live for ever. So all frames of a stream go by one class, and a
/// reset goes with the calls, behind every call's `open`, once the bulk of its stream is thrown away; or, if it says that it
/// is bulk, behind that: nobody wants to be rid of what was sent, the stream's other end is gone.
///
/// Calls do not starve bulk: after ``callsBeforeBulk`` calls in a row a waiting bulk stream has its turn. What may wait
/// here is bounded by the windows of the streams (see ``StreamState``), not by this queue. What neighbours have sent to
/// be passed on is kept account of by neighbour: what no credit counts, and what the streams of a child carry together.
package struct Outbox: Sendable {
    package enum Priority: Sendable {
        case control
        case call
        case bulk
    }

    package static let callsBeforeBulk = 16

    private struct Frame {
        var bytes: [UInt8]
        /// Whose account it is on.
        var payer: Neighbour?
        var isData = false
    }

    private struct Account {
        var data = 0
        var other = 0
    }

    private var control = Deque<[UInt8]>()
    private var calls = Deque<Frame>()
    private var bulk: [StreamKey: Deque<Frame>] = [:]
    private var accounts: [Neighbour: Account] = [:]
    /// The bytes of relayed `data` frames that wait here, of all children.
    package private(set) var relayedData = 0
    /// Bulk streams with something to send, in the order of their turns; among them some that were discarded since. To look
    /// for these would take as long as there are streams, of which a neighbour may have very many, each with a reset.
    private var turns = Deque<StreamKey>()
    private var callsInARow = 0

    package init() {}

    package var isEmpty: Bool { control.isEmpty && calls.isEmpty && bulk.isEmpty }
    /// Control and call frames that wait. Windows do not bound opens, ends, resets and pongs: a link on which too many
    /// wait belongs to a neighbour that does not read.
    package var urgentCount: Int { control.count + calls.count }

    /// The bytes of relayed frames that wait here, came from `neighbour`, and are on no stream's credit.
    package func waiting(from neighbour: Neighbour) -> Int { accounts[neighbour]?.other ?? 0 }

    /// The bytes of relayed `data` frames that wait here and came from `neighbour`; not counted for the parent.
    package func waitingData(from neighbour: Neighbour) -> Int { accounts[neighbour]?.data ?? 0 }

    /// Adds the frame with this header, `frame` being its bytes: the right way in for all frames of streams.
    ///
    /// - Parameter source: the neighbour that sent it; `nil` if it is our own.
    package mutating func append(_ frame: [UInt8], header: FrameHeader, from source: Neighbour? = nil) {
        let stream = header.streamKey
        let isData = header.kind == .data
        let payer = isData && source == .parent ? nil : source
        switch header.kind {
        case .open, .data, .end:
            // What follows bulk of its own stream waits behind it, whatever it says.
            let isBulk = header.flags.contains(.bulk) || bulk[stream] != nil
            append(frame, isBulk ? .bulk : .call, stream: stream, payer: payer, isData: isData)
        case .reset where header.flags.contains(.bulk) && bulk[stream] != nil:
            append(frame, .bulk, stream: stream, payer: payer)
        case .reset:
            discard(stream)
            append(frame, .call, stream: stream, payer: payer)
        case .credit, .hello, .welcome, .ping, .pong:
            append(frame, .control, stream: stream)
        case .goodbye:
            // Whoever says goodbye waits until all else has gone: here it would overtake what it follows.
            append(frame, .call, stream: stream)
        }
    }

    package mutating func append(
        _ bytes: [UInt8],
        _ priority: Priority,
        stream: StreamKey,
        payer: Neighbour? = nil,
        isData: Bool = false
    ) {
        let frame = Frame(bytes: bytes, payer: payer, isData: isData)
        charge(frame, bytes.count)
        switch priority {
        case .control: control.append(bytes)
        case .call: calls.append(frame)
        case .bulk:
            if bulk[stream] == nil { turns.append(stream) }
            bulk[stream, default: []].append(frame)
        }
    }

    private mutating func charge(_ frame: Frame, _ count: Int) {
        guard let payer = frame.payer else { return }
        if frame.isData {
            accounts[payer, default: Account()].data += count
            relayedData += count
        } else {
            accounts[payer, default: Account()].other += count
        }
    }

    private mutating func settle(_ frame: Frame) {
        guard let payer = frame.payer else { return }
        charge(frame, -frame.bytes.count)
        if let account = accounts[payer], account.data == 0, account.other == 0 { accounts[payer] = nil }
    }

    /// Takes what goes out next.
    package mutating func next() -> [UInt8]? {
        if let frame = control.popFirst() { return frame }
        if callsInARow < Self.callsBeforeBulk || bulk.isEmpty, let frame = calls.popFirst() {
            callsInARow += 1
            settle(frame)
            return frame.bytes
        }
        callsInARow = 0
        while let stream = turns.popFirst() {
            guard let frame = bulk[stream]?.removeFirst() else { continue }
            if bulk[stream]!.isEmpty { bulk[stream] = nil } else { turns.append(stream) }
            settle(frame)
            return frame.bytes
        }
        return nil
    }

    /// Forgets the bulk that waits on a stream that was reset.
    package mutating func discard(_ stream: StreamKey) {
        guard let frames = bulk.removeValue(forKey: stream) else { return }
        for frame in frames { settle(frame) }
        if bulk.isEmpty { turns.removeAll() }
    }
}
