"""What are the models trained on?"""
