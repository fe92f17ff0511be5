extension CBORReader {
    /// Skips one item with all that is in it and checks that it is well-formed (text is not checked for UTF-8).
    ///
    /// - Parameter depth: How many arrays, maps and tags the item is in. Default: none.
    package mutating func skip(depth: Int = 0) throws(CBORError) {
        let start = offset
        do throws(CBORError) {
            try skipItem(depth)
        } catch {
            offset = start
            throw error
        }
    }

    /// Recurses once a level, never beyond the limit.
    mutating func skipItem(_ depth: Int) throws(CBORError) {
        let start = offset
        let head = try readHead()
        switch head.major {
        case 0, 1:
            return
        case 2, 3:
            if head.isIndefinite {
                try skipPieces(head.major)
            } else {
                guard head.argument <= UInt64(remaining) else { throw CBORError(.truncated, at: start) }
                offset &+= Int(head.argument)
            }
        case 4, 5:
            guard depth < maximumDepth else { throw CBORError(.tooDeep, at: start) }
            if head.isIndefinite {
                try skipToBreak(depth, isMap: head.major == 5)
            } else {
                let width = UInt64(head.major &- 3)
                guard head.argument <= UInt64(remaining) / width else { throw CBORError(.truncated, at: start) }
                for _ in 0..<head.argument &* width { try skipItem(depth &+ 1) }
            }
        case 6:
            guard depth < maximumDepth else { throw CBORError(.tooDeep, at: start) }
            try skipItem(depth &+ 1)
        default:
            if head.initial == 0xff { throw CBORError(.unexpectedBreak, at: start) }
        }
    }

    private mutating func skipPieces(_ major: UInt8) throws(CBORError) {
        while !readBreak() {
            let place = offset
            let head = try readHead()
            guard head.major == major, !head.isIndefinite else { throw CBORError(.malformed, at: place) }
            guard head.argument <= UInt64(remaining) else { throw CBORError(.truncated, at: place) }
            offset &+= Int(head.argument)
        }
    }

    private mutating func skipToBreak(_ depth: Int, isMap: Bool) throws(CBORError) {
        while !readBreak() {
            try skipItem(depth &+ 1)
            // A break between a key and its value fails here, as an unexpected one.
            if isMap { try skipItem(depth &+ 1) }
        }
    }
}
