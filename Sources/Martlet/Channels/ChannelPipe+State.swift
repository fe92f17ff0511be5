import DequeModule

extension ChannelPipe {
    enum Place {
        case here
        case offered
        case stream(ChannelStream)
        case gone
    }

    struct Flow {
        var buffer = ChannelBuffer()
        /// What the writer said last; it counts when all before it was taken.
        var ending: Ending?
        /// The reader knows the ending.
        var isEndTold = false
        /// The writer will not write any more, though it reads.
        var isFinished = false
        /// The reader wants no more, and why: see ``Ending/refusal``.
        var refusal: [UInt8]?
        var readers = Deque<ChannelWaiter>()
        var writers = Deque<ChannelWaiter>()
        /// Who wants to know that something has come or ended, and does not take it: all of them are told.
        var watchers: [ChannelWaiter] = []
        var isFlushDue = false
        /// Ends that were passed on in items of this flow.
        var carried: [ChannelToken] = []

        mutating func wakeReader() {
            tellWatchers()
            while let waiter = readers.popFirst(), !waiter.fire(.ready) {}
        }

        private mutating func tellWatchers() {
            guard !watchers.isEmpty else { return }
            for waiter in watchers { waiter.fire(.ready) }
            watchers = []
        }

        mutating func wakeWriter() { while let waiter = writers.popFirst(), !waiter.fire(.ready) {} }
        mutating func wakeAll() {
            tellWatchers()
            for waiter in readers { waiter.fire(.ready) }
            for waiter in writers { waiter.fire(.ready) }
            (readers, writers) = ([], [])
        }
    }

    struct State {
        /// By side.
        private var places = [Place.here, .here]
        /// By their writers.
        private var flows = [Flow(), Flow()]

        subscript(side: Side) -> Place {
            get { places[side.rawValue] }
            set { places[side.rawValue] = newValue }
        }

        /// The flow that `side` writes.
        subscript(from side: Side) -> Flow {
            _read { yield flows[side.rawValue] }
            _modify { yield &flows[side.rawValue] }
        }

        func isAt(_ stream: ChannelStream) -> Bool {
            if case .stream(let current) = self[stream.side] { current === stream } else { false }
        }
    }
}
