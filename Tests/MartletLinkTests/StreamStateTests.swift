import MartletLink
import MartletTestKit
import MartletWire
import Testing

@Suite struct StreamStateTests {
    @Test func `A sender may send one window and not a byte more`() {
        var sender = StreamState()
        var receiver = StreamState()
        var sent = 0
        while sender.takeCredit(forPayload: 3_000) {
            sent += 1
            let isLegal = receiver.receivedData(payload: 3_000)
            #expect(isLegal)
        }
        #expect(sent == StreamState.initialWindow / 3_032)
        #expect(receiver.unread == sent * 3_032)
        let rest = sender.sendablePayload
        #expect(rest < 3_000 && rest > 0)
        var (tooMuch, exact) = (receiver, receiver)
        #expect(tooMuch.receivedData(payload: rest + 1) == false)
        #expect(exact.receivedData(payload: rest) == true)
        #expect(exact.unread == StreamState.initialWindow)
        // Empty messages cost as well.
        #expect(exact.receivedData(payload: 0) == false)
    }

    @Test func `Nothing may follow the last message`() {
        var state = StreamState()
        #expect(state.receivedLast() == true)
        #expect(state.receivedData(payload: 0) == false)
        #expect(state.receivedLast() == false)
        #expect(!state.isClosed)
        state.sentLast()
        #expect(state.isClosed)
    }

    @Test(arguments: [Int.min, -1, 0, 1, 65_535, 16 * 1024 * 1024 + 1, Int(UInt32.max), .max])
    func `Credit that no honest peer grants is refused`(count: Int) {
        var state = StreamState()
        #expect(state.receivedCredit(count) == false)
        #expect(state.sendablePayload == FrameHeader.maximumPayload)
    }

    @Test func `Credit upon credit is refused before it is absurd`() {
        var state = StreamState()
        var total = StreamState.initialWindow
        while state.receivedCredit(StreamState.maximumWindow / 2) { total += StreamState.maximumWindow / 2 }
        #expect(total <= 2 * StreamState.maximumWindow)
        #expect(total >= StreamState.maximumWindow)
    }

    /// One stream over a line that takes `delay` steps each way and carries what fits in flight.
    private struct Line {
        var sender = StreamState()
        var receiver = StreamState()
        var budget = ReceiveBudget()
        private var data: [(due: Int, count: Int, heldUp: Bool)] = []
        private var credits: [(due: Int, count: Int)] = []
        private var unreadFrames: [Int] = []
        private var dataHead = 0
        var now = 0
        let delay: Int

        init(delay: Int, budget: ReceiveBudget = .init()) {
            self.delay = delay
            self.budget = budget
        }

        /// - Returns: whether a frame went out.
        mutating func send(_ count: Int) -> Bool {
            guard sender.takeCredit(forPayload: count) else { return false }
            data.append((now + delay, count, sender.takeHeldUp()))
            return true
        }

        mutating func deliver() -> Bool {
            var isLegal = true
            while dataHead < data.count, data[dataHead].due <= now {
                let frame = data[dataHead]
                isLegal = receiver.receivedData(payload: frame.count, heldUp: frame.heldUp) && isLegal
                unreadFrames.append(frame.count)
                dataHead += 1
            }
            while let credit = credits.first, credit.due <= now {
                isLegal = sender.receivedCredit(credit.count) && isLegal
                credits.removeFirst()
            }
            return isLegal
        }

        mutating func read(_ frames: Int) {
            for count in unreadFrames.prefix(frames) {
                let credit = receiver.consumedData(payload: count, budget: &budget)
                if credit > 0 { credits.append((now + delay, credit)) }
            }
            unreadFrames.removeFirst(min(frames, unreadFrames.count))
        }

        var isIdle: Bool { dataHead == data.count && credits.isEmpty && unreadFrames.isEmpty }
    }

    @Test func `A writer can always go on once its reader has read`() {
        for seed in 0..<40 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var line = Line(
                delay: .random(in: 0...20, using: &random),
                budget: .init(limit: .random(in: 0...(1 << 24), using: &random))
            )
            let sizes = [0...0, 0...100, 0...65_280, 65_280...65_280, 30_000...65_280].randomElement(using: &random)!
            let appetite = Int.random(in: 1...8, using: &random)
            var isLegal = true
            var isBounded = true
            var stalled = 0
            var sent = 0
            while sent < 600, stalled < 200 {
                line.now += 1
                isLegal = line.deliver() && isLegal
                isBounded = isBounded && line.receiver.unread <= line.receiver.receiveWindow
                var wentOut = 0
                for _ in 0..<Int.random(in: 0...12, using: &random) {
                    guard line.send(.random(in: sizes, using: &random)) else { break }
                    wentOut += 1
                }
                sent += wentOut
                // The reader may sleep, but not for ever.
                if Int.random(in: 0..<3, using: &random) == 0 { line.read(.random(in: 1...appetite, using: &random)) }
                stalled = wentOut > 0 ? 0 : stalled + 1
            }
            #expect(isLegal && isBounded, "seed \(seed)")
            #expect(sent >= 600, "seed \(seed) stalls after \(sent) frames")
        }
    }

    @Test(arguments: [65_280, 16_384, 1_000]) func `A far line's window grows until the line is full`(payload: Int) {
        var line = Line(delay: 20)
        let perStep = 65_312 / (payload + 32)
        var full = 0
        for _ in 0..<4_000 {
            line.now += 1
            #expect(line.deliver() == true)
            var sent = 0
            while sent < perStep, line.send(payload) { sent += 1 }
            full = sent == perStep ? full + 1 : 0
            line.read(.max)
        }
        // The whole round trip is in flight and the sender has not waited for a long while.
        let product = perStep * (payload + 32) * 2 * line.delay
        #expect(line.receiver.receiveWindow >= product)
        #expect(line.receiver.receiveWindow <= 4 * product)
        #expect(full > 1_000)
    }

    @Test func `A slow reader's window does not grow`() {
        var line = Line(delay: 1)
        for step in 0..<4_000 {
            line.now += 1
            #expect(line.deliver() == true)
            while line.send(8_000) {}
            if step > 40, step % 3 == 0 { line.read(1) }
        }
        #expect(line.receiver.receiveWindow == StreamState.initialWindow)
    }

    @Test func `A sender that is never held up does not make the window grow`() {
        var line = Line(delay: 2)
        for _ in 0..<4_000 {
            line.now += 1
            #expect(line.deliver() == true)
            #expect(line.send(8_000) == true)
            line.read(.max)
        }
        #expect(line.receiver.receiveWindow == StreamState.initialWindow)
    }

    @Test func `Windows grow as far as the budget goes and give it back`() {
        var budget = ReceiveBudget(limit: StreamState.initialWindow * 4)
        var states = [StreamState(), StreamState(), StreamState()]
        for _ in 0..<50 {
            for index in states.indices {
                for _ in 0..<4 {
                    let isLegal = states[index].receivedData(payload: 30_000, heldUp: true)
                    #expect(isLegal)
                    _ = states[index].consumedData(payload: 30_000, budget: &budget)
                }
            }
        }
        let grown = states.map { $0.receiveWindow - StreamState.initialWindow }.reduce(0, +)
        #expect(grown == StreamState.initialWindow * 4 - budget.available)
        #expect(budget.available < 2 * StreamState.initialWindow)
        for state in states { state.release(to: &budget) }
        #expect(budget.available == StreamState.initialWindow * 4)
    }

    @Test func `A liar that always claims to be held up gets no more than the limit`() {
        var budget = ReceiveBudget(limit: .max)
        var state = StreamState()
        for _ in 0..<5_000 {
            #expect(state.receivedData(payload: 65_280, heldUp: true) == true)
            _ = state.consumedData(payload: 65_280, budget: &budget)
        }
        #expect(state.receiveWindow == StreamState.maximumWindow)
    }

    @Test func `A reader sends no credit for a direction that has ended`() {
        var budget = ReceiveBudget()
        var state = StreamState()
        for _ in 0..<4 { #expect(state.receivedData(payload: 60_000) == true) }
        #expect(state.receivedLast() == true)
        for _ in 0..<4 { #expect(state.consumedData(payload: 60_000, budget: &budget) == 0) }
    }
}
