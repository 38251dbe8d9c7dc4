"""What leaves the controller: flat records, and the store on disk that every other reader looks into."""
